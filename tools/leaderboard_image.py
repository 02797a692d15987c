"""Makes docs/images/leaderboard.png: the first table of a report without costs, as a browser shows it.

    python -m tools.leaderboard_image [REPORT.html] [--methods NAME ...]

The report comes from `promptarena report`; by default it is the miniature's, results/mini/report.html. Needs Chromium
and its driver.
"""

import argparse
import shutil
from pathlib import Path

from selenium import webdriver

ROOT = Path(__file__).resolve().parents[1]
SHOWN = (
    "zeroshot",
    "linear-probe",
    "coop",
    "kgcoop",
    "maple",
    "promptsrc",
    "coprompt",
    "mmrl",
    "rada",
    "dear",
)


def main() -> None:
    """Read the arguments and make the image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path, default=ROOT / "results" / "mini" / "report.html")
    parser.add_argument("--methods", nargs="+", default=SHOWN, help="the rows that are shown")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "leaderboard.png")
    chosen = parser.parse_args()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,1000"):
        options.add_argument(argument)
    options.add_argument("--force-device-scale-factor=1.5")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver") or ""))
    try:
        driver.get(chosen.report.resolve().as_uri())
        frame = driver.execute_script(ALONE, list(chosen.methods))
        chosen.out.write_bytes(frame.screenshot_as_png)
    finally:
        driver.quit()


ALONE = """
const table = document.getElementById("all"), frame = document.createElement("div");
for (const row of [...table.tBodies[0].rows]) if (!arguments[0].includes(row.cells[0].textContent.trim())) row.remove();
for (const cell of table.querySelectorAll("td")) cell.classList.remove("best", "second"); // of all rows
const groups = [...table.tHead.rows[0].cells], cost = groups.pop();
const shown = groups.reduce((columns, cell) => columns + cell.colSpan, 0);
cost.remove();
for (const row of [...table.rows].slice(1)) {
  const columns = row.parentNode === table.tHead ? shown - 1 : shown; // the name's heading spans both rows
  for (const cell of [...row.cells].slice(columns)) cell.remove();
}
table.caption.textContent = table.caption.textContent.replace(", and the cost of a run", "");
frame.style.padding = "12px";
frame.style.width = "max-content";
frame.append(table);
document.body.replaceChildren(frame);
return frame;
"""

if __name__ == "__main__":
    main()
