"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const controls = document.querySelector(".controls");
  const [protocol, dataset, method] = ["protocol", "dataset", "method"].map((name) => controls.elements[name]);
  const status = controls.querySelector("output");
  const theme = controls.elements.theme;

  function compare(one, other) {
    const numbers = [one, other].map(Number);
    return numbers.some(Number.isNaN) ? one.localeCompare(other, "en", { numeric: true }) : numbers[0] - numbers[1];
  }

  function sort(heading) {
    const table = heading.closest("table");
    const next = { none: "descending", descending: "ascending", ascending: "none" }[heading.getAttribute("aria-sort")];
    all("th[aria-sort]", table).forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", next);
    const place = Number(heading.dataset.place);
    const body = table.tBodies[0];
    const key = (row) => row.cells[place].dataset.sort;
    const sign = next === "ascending" ? 1 : -1;
    const rows = [...body.rows].sort((one, other) => {
      const initial = one.dataset.order - other.dataset.order;
      if (next === "none") return initial;
      const [first, second] = [key(one), key(other)];
      if (first === "" || second === "") return (first === "") - (second === "") || initial;
      return sign * compare(first, second) || initial;
    });
    body.append(...rows);
  }

  function filter() {
    const words = method.value.toLowerCase().split(",").map((word) => word.trim()).filter(Boolean);
    const fits = {
      protocol: (value) => !protocol.value || value === protocol.value,
      dataset: (value) => !dataset.value || value === dataset.value,
      method: (value) => !words.length || words.some((word) => value.toLowerCase().includes(word)),
    };
    all("[data-protocol], [data-dataset], [data-method]").forEach((element) => {
      element.hidden = Object.entries(fits).some(([name, fit]) => {
        const value = element.dataset[name];
        return value !== undefined && !fit(value);
      });
    });
    all("table").forEach((table) => spanGroups(table));
    const labels = [...new Set(all(".board tbody tr").map((row) => row.dataset.method))];
    status.textContent = `${labels.filter(fits.method).length} of ${labels.length} methods shown`;
  }

  function spanGroups(table) {
    const heads = all("tr.heads th[data-place]:not(.method)", table);
    let start = 0;
    all("tr.groups > [data-span]", table).forEach((group) => {
      const end = start + Number(group.dataset.span);
      const seen = heads.slice(start, end).filter((head) => !head.hidden).length;
      group.hidden = seen === 0;
      group.colSpan = seen || 1;
      start = end;
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

  all("th[data-place]").forEach((heading) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(heading));
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
  });
  all("table").forEach((table) => [...table.tBodies[0].rows].forEach((row, place) => (row.dataset.order = place)));
  [protocol, dataset].forEach((select) => select.addEventListener("change", filter));
  method.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", (event) => {
    event.preventDefault();
    [protocol, dataset, method].forEach((control) => (control.value = ""));
    filter();
  });
  theme.addEventListener("click", () => setTheme(dark() ? "light" : "dark"));
  theme.setAttribute("aria-pressed", String(dark()));
  controls.hidden = false;
  filter();
})();
