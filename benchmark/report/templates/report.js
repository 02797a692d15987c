"use strict";
(async () => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const packed = Uint8Array.from(atob(one("#evidence").textContent), (letter) => letter.charCodeAt(0));
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const evidence = await new Response(plain).json();
  const controls = one(".controls");
  const [protocol, dataset, family, method] = ["protocol", "dataset", "family", "method"].map((name) => controls.elements[name]);
  const shown = all("input[name=shown]", controls);
  const pair = one(".pair");
  const [first, second] = pair ? [pair.elements.first, pair.elements.second] : [null, null];
  const views = all(".switch input");
  const theme = controls.elements.theme;
  const dialog = one("#cell");
  const fixed = (value, digits = 2) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  const signed = (value) => (fixed(value).startsWith("-") || Number(fixed(value)) === 0 ? "" : "+") + fixed(value);

  function make(tag, text = "", properties = {}) {
    const element = Object.assign(document.createElement(tag), properties);
    if (text !== "") element.textContent = text;
    return element;
  }

  function tableOf(label, heads, rows) {
    const box = make("div", "", { className: "scroll", tabIndex: 0 });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", label);
    const table = box.appendChild(make("table"));
    table.append(make("caption", label));
    const head = table.createTHead().insertRow();
    heads.forEach((text) => head.append(make("th", text, { scope: "col" })));
    const body = table.createTBody();
    rows.forEach(([name, ...cells]) => {
      const row = body.insertRow();
      row.append(make("th", name, { scope: "row" }));
      cells.forEach((text) => row.append(make("td", text)));
    });
    return box;
  }

  // Sorting. The first order is that of the page, to which every table returns.
  function number(text) {
    const found = /^[<+-]?[\d.]+/.exec(text.replace(/[\u202f,]/g, ""));
    return found && !/^\d+ of /.test(text) ? Number(found[0].replace("<", "")) : NaN;
  }

  function compare(one, other, sign) {
    const [left, right] = [number(one), number(other)];
    if (Number.isNaN(left) && Number.isNaN(right)) return sign * one.localeCompare(other, "en", { numeric: true });
    return Number.isNaN(left) ? 1 : Number.isNaN(right) ? -1 : sign * (left - right);
  }

  function sort(heading, order) {
    const table = heading.closest("table");
    all("th[aria-sort]", table).forEach((each) => each.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", order);
    const body = table.tBodies[0];
    const place = Number(heading.dataset.place);
    const sign = order === "ascending" ? 1 : -1;
    const text = (row) => row.cells[place].textContent.trim();
    const rows = [...body.rows].sort((one, other) => {
      const initial = one.dataset.order - other.dataset.order;
      if (order === "none") return initial;
      const pinned = other.classList.contains("pinned") - one.classList.contains("pinned");
      return pinned || compare(text(one), text(other), sign) || initial;
    });
    body.append(...rows);
  }

  all("table.board").forEach((table) => {
    const heads = [...table.tHead.rows].map((row) => [...row.cells]);
    const last = [...(heads.length > 1 ? [heads[0][0]] : []), ...heads.at(-1)];
    last.forEach((heading, place) => {
      const button = make("button", "", { type: "button" });
      button.append(...heading.childNodes);
      heading.append(button);
      heading.dataset.place = place;
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        sort(heading, { none: "descending", descending: "ascending", ascending: "none" }[heading.getAttribute("aria-sort")]);
        save();
      });
    });
    [...table.tBodies[0].rows].forEach((row, place) => (row.dataset.order = place));
  });

  // Filters.
  function filter() {
    const words = method.value.toLowerCase().split(",").map((word) => word.trim()).filter(Boolean);
    const off = new Set(shown.filter((box) => !box.checked).map((box) => box.value));
    const fits = evidence.methods.map(([label, of], place) =>
      !off.has(String(place)) && (!family.value || family.value === of) &&
      (!words.length || words.some((word) => label.toLowerCase().includes(word))));
    all("[data-m]").forEach((element) => {
      // SVG elements have no `hidden`.
      element.style.display = element.dataset.m === "" || fits[element.dataset.m] ? "" : "none";
    });
    all("[data-p]").forEach((element) => (element.hidden = Boolean(protocol.value) && protocol.value !== element.dataset.p));
    all("table.board").forEach((table) => {
      [...table.tHead.rows].at(-1).querySelectorAll("th[data-p], th[data-d]").forEach((heading) => {
        const { p, d, place } = heading.dataset;
        const hide = (p && protocol.value && p !== protocol.value) || (d && dataset.value && d !== dataset.value);
        heading.hidden = Boolean(hide);
        [...table.tBodies[0].rows].forEach((row) => (row.cells[place].hidden = Boolean(hide)));
      });
    });
    all("tr[data-d]").forEach((row) => (row.hidden = Boolean(dataset.value) && dataset.value !== row.dataset.d));
    one("output", controls).textContent = `${fits.filter(Boolean).length} of ${fits.length} methods shown`;
  }

  // What is behind a cell.
  function entries(name, place, set) {
    const at = evidence.protocols[name];
    return (at.cells[place]?.[set] ?? []).filter(([shots]) => !at.shots || shots === at.shots);
  }

  function accuracy(entry, subset) {
    const [correct, total] = entry.slice(3 + 2 * subset, 5 + 2 * subset);
    return total ? (100 * correct) / total : null;
  }

  const harmonic = (values) => values.length / values.reduce((sum, value) => sum + 1 / value, 0);
  const score = (values) => (values.length > 1 && values.every(Boolean) ? harmonic(values) : values.length > 1 ? 0 : values[0]);
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  function half(values) {
    if (values.length < 2 || values.length - 1 > evidence.t.length) return null;
    const centre = mean(values);
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
    return (evidence.t[values.length - 2] * deviation) / Math.sqrt(values.length);
  }

  function copier(code) {
    const button = make("button", "Copy", { type: "button", className: "take" });
    button.setAttribute("aria-label", "Copy the command");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
    });
    code.after(button);
  }

  function open(cell) {
    const table = cell.closest("table");
    const name = table.dataset.protocol;
    const at = evidence.protocols[name];
    const place = Number(cell.parentElement.dataset.m);
    const set = [...table.tHead.rows].at(-1).cells[cell.cellIndex].dataset.d;
    const sets = set ? [set] : Object.keys(evidence.datasets).filter((each) => at.cells[place]?.[each]);
    const [label] = evidence.methods[place];
    one("#cell-title").textContent = `${label}: ${at.title}, ${set ? evidence.datasets[set] : "all datasets"}`;
    const body = one("div", dialog);
    body.replaceChildren();
    const found = sets.flatMap((each) => (at.cells[place]?.[each] ?? []).map((entry) => [each, entry]));
    if (set && at.shots === 0) body.append(...interval(at, place, name, set));
    const subsets = at.subsets.map((title, subset) => [title, subset]).filter(([, subset]) => found.some(([, entry]) => accuracy(entry, subset) !== null));
    const rows = found.map(([each, entry]) => [
      ...(set ? [] : [evidence.datasets[each]]), ...(at.shots ? [String(entry[0])] : []), entry[1] ?? "none",
      ...subsets.map(([, subset]) => {
        const value = accuracy(entry, subset);
        return value === null ? "–" : `${fixed(value)} (${entry[3 + 2 * subset]} of ${entry[4 + 2 * subset]})`;
      }), entry[2],
    ]);
    if (rows.length) {
      const heads = [...(set ? [] : ["Dataset"]), ...(at.shots ? ["Shots"] : []), "Seed", ...subsets.map(([title]) => `${title}, % (right of all)`), "Run"];
      body.append(tableOf("Runs", heads, rows));
    } else body.append(make("p", "There is no run."));
    const command = at.commands[place];
    if (command) {
      const seeds = [...new Set(found.map(([, entry]) => entry[1]).filter((seed) => seed !== null))].sort((a, b) => a - b);
      const shots = [...new Set(found.map(([, entry]) => entry[0]).filter(Boolean))].sort((a, b) => a - b);
      const words = [command[0], ...(set && !(at.transfer && set === at.source) ? ["--datasets", set] : []),
        ...(seeds.length ? ["--seeds", ...seeds] : []), ...(shots.length ? ["--shots", ...shots] : []), command[1]];
      const line = body.appendChild(make("p", "The command that repeats them: "));
      const code = line.appendChild(make("code", words.filter((word) => word !== "").join(" ")));
      copier(code);
    }
    dialog.showModal();
  }

  function interval(at, place, name, set) {
    const runs = entries(name, place, set).filter((entry) => at.headline.every((subset) => accuracy(entry, subset) !== null));
    if (!runs.length) return [];
    const values = runs.map((entry) => score(at.headline.map((subset) => accuracy(entry, subset))));
    const centre = score(at.headline.map((subset) => mean(runs.map((entry) => accuracy(entry, subset)))));
    const width = half(values);
    const text = width === null ? "one seed, no interval" : `95 % interval over ${values.length} seeds ${fixed(centre - width)} to ${fixed(centre + width)}`;
    return [make("p", `${at.metric}: ${fixed(centre)} (${text}).`)];
  }

  // Two methods, dataset by dataset, on the seeds that both have.
  function differences(name, left, right) {
    const at = evidence.protocols[name];
    const rows = [];
    Object.keys(evidence.datasets).forEach((set) => {
      if (at.transfer && set === at.source) return;
      const sides = [left, right].map((place) => new Map(entries(name, place, set)
        .filter((entry) => at.headline.every((subset) => accuracy(entry, subset) !== null)).map((entry) => [entry[1], entry])));
      const seeds = new Set(sides.flatMap((side) => [...side.keys()]).filter((seed) => seed !== null));
      const wanted = seeds.size ? [...seeds] : [null];
      const pairs = wanted.map((seed) => sides.map((side) => side.get(seed) ?? side.get(null))).filter((both) => both.every(Boolean));
      if (!pairs.length) return;
      const of = (entry) => at.headline.map((subset) => accuracy(entry, subset));
      const by = pairs.map(([one, other]) => score(of(one)) - score(of(other)));
      const means = [0, 1].map((side) => score(at.headline.map((subset) => mean(pairs.map((both) => accuracy(both[side], subset))))));
      const [centre, width] = [means[0] - means[1], half(by)];
      rows.push([evidence.datasets[set], fixed(means[0]), fixed(means[1]), signed(centre),
        width === null ? "–" : `${signed(centre - width)} to ${signed(centre + width)}`, String(by.length)]);
    });
    return rows;
  }

  function verdict(at, left, right) {
    for (const [one, other, difference, low, high, p, significant] of at.pairs) {
      const sign = one === left && other === right ? 1 : one === right && other === left ? -1 : 0;
      if (!sign) continue;
      const [from, to] = sign > 0 ? [low, high] : [-high, -low];
      const holm = p === null ? "" : `; p ${p < 0.001 ? "< 0.001" : `= ${p}`} after Holm over ${at.pairs.length} pairs`;
      return `Average: ${signed(sign * difference)} points ${at.metric} (95 % interval over datasets and seeds ${signed(from)} to ${signed(to)}${holm}): ${significant ? "significant" : "not significant"}.`;
    }
    return "Their averages were not tested against each other.";
  }

  function compareTwo() {
    if (!pair) return;
    const [left, right] = [Number(first.value), Number(second.value)];
    const [one_, other] = [left, right].map((place) => evidence.methods[place][0]);
    const parts = [];
    Object.entries(evidence.protocols).forEach(([name, at]) => {
      const rows = left === right ? [] : differences(name, left, right);
      if (!rows.length) return;
      const box = make("div");
      box.dataset.p = name;
      box.append(make("h3", at.title), make("p", verdict(at, left, right)),
        tableOf(`${one_} minus ${other}, ${at.metric}`, ["Dataset", one_, other, "Difference", "95 % interval over seeds", "Seeds"], rows));
      parts.push(box);
    });
    one("#pairs").replaceChildren(...(parts.length ? parts : [make("p", "Choose two methods that share a dataset and a seed.")]));
    filter();
  }

  // The fragment has the state, so that a view can be linked.
  function save() {
    const state = new URLSearchParams();
    [protocol, dataset, family, method].forEach((control) => control.value && state.set(control.name, control.value));
    const hidden = shown.filter((box) => !box.checked).map((box) => evidence.methods[box.value][0]);
    hidden.forEach((label) => state.append("hide", label));
    all(".switch").forEach((group) => {
      const chosen = one("input:checked", group);
      if (chosen && chosen !== one("input", group)) state.append(chosen.name, chosen.value);
    });
    all("th[aria-sort]:not([aria-sort=none])").forEach((heading) => {
      const { id } = heading.closest("table");
      if (id) state.append("sort", `${id}:${heading.dataset.place}:${heading.getAttribute("aria-sort")}`);
    });
    if (one("#compare details").open) {
      state.set("first", evidence.methods[first.value][0]);
      state.set("second", evidence.methods[second.value][0]);
    }
    history.replaceState(null, "", `#${state}`);
  }

  function load() {
    if (!location.hash.includes("=")) return;
    const state = new URLSearchParams(location.hash.slice(1));
    [protocol, dataset, family, method].forEach((control) => (control.value = state.get(control.name) ?? ""));
    const hidden = new Set(state.getAll("hide"));
    shown.forEach((box) => (box.checked = !hidden.has(evidence.methods[box.value][0])));
    views.forEach((radio) => (radio.checked = state.get(radio.name) === radio.value || radio.checked));
    state.getAll("sort").forEach((text) => {
      const [, id, place, order] = /^(.*):(\d+):(ascending|descending)$/.exec(text) ?? [];
      const heading = id && one(`[data-place="${place}"]`, document.getElementById(id) ?? document.createElement("p"));
      if (heading) sort(heading, order);
    });
    const labels = evidence.methods.map(([label]) => label);
    [[first, "first"], [second, "second"]].forEach(([select, name]) => {
      if (labels.includes(state.get(name))) {
        select.value = labels.indexOf(state.get(name));
        one("#compare details").open = true;
      }
    });
  }

  function dark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function setTheme(name) {
    document.documentElement.dataset.theme = name;
    theme.setAttribute("aria-pressed", String(name === "dark"));
  }

  // Cells of matrices are reached by one Tab stop for each table and by the arrow keys within it.
  all("table.cells").forEach((table) => {
    table.setAttribute("role", "grid");
    let current = one("tbody td", table);
    if (!current) return;
    current.tabIndex = 0;
    const move = (cell) => {
      if (!cell || cell.tagName !== "TD") return;
      current.removeAttribute("tabindex");
      current = cell;
      current.tabIndex = 0;
      current.focus();
    };
    table.tBodies[0].addEventListener("click", (event) => {
      const cell = event.target.closest("td");
      if (cell) {
        move(cell);
        open(cell);
      }
    });
    table.tBodies[0].addEventListener("keydown", (event) => {
      const cell = event.target.closest("td");
      if (!cell) return;
      const row = cell.parentElement;
      const beside = (side) => {
        let next = row[side];
        while (next && next.style.display === "none") next = next[side];
        return next?.cells[cell.cellIndex];
      };
      const next = { ArrowLeft: () => cell.previousElementSibling, ArrowRight: () => cell.nextElementSibling,
        ArrowUp: () => beside("previousElementSibling"), ArrowDown: () => beside("nextElementSibling") }[event.key];
      if (next) move(next());
      else if (event.key === "Enter" || event.key === " ") open(cell);
      else return;
      event.preventDefault();
    });
  });

  all("code.copy").forEach(copier);
  one("button", dialog).addEventListener("click", () => dialog.close());
  [protocol, dataset, family].forEach((select) => select.addEventListener("change", () => (filter(), save())));
  method.addEventListener("input", () => (filter(), save()));
  shown.forEach((box) => box.addEventListener("change", () => (filter(), save())));
  views.forEach((radio) => radio.addEventListener("change", save));
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", (event) => {
    event.preventDefault();
    [protocol, dataset, family, method].forEach((control) => (control.value = ""));
    shown.forEach((box) => (box.checked = true));
    filter();
    save();
  });
  theme.addEventListener("click", () => setTheme(dark() ? "light" : "dark"));
  theme.setAttribute("aria-pressed", String(dark()));
  controls.hidden = false;
  if (evidence.methods.length > 1) {
    one("#compare").hidden = false;
    second.selectedIndex = 0;
    first.selectedIndex = 1;
    [first, second].forEach((select) => select.addEventListener("change", () => (compareTwo(), save())));
    one("#compare details").addEventListener("toggle", () => (compareTwo(), save()));
  }
  load();
  filter();
})();
