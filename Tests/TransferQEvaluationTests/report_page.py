"""Opens a report's page in Chromium and compares what it shows with the files that it was made from.

    python report_page.py RUN REPORT [SCREENSHOTS]

RUN is a run's folder, REPORT the folder with its report.html, table.csv and answers.csv. Prints what does not hold, a line
each, and exits with 1; with a third folder, leaves a picture of the page at each width, light and dark.
"""

import base64
import csv
import json
import math
import pathlib
import re
import shutil
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

run, report = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
screenshots = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
failures = []


def check(holds, sentence):
    if not holds:
        failures.append(sentence)


def lines(name):
    path = run / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def number(text):
    return float(text) if text else None


def same(left, right):
    return left == right or (left is not None and right is not None and math.isclose(left, right, rel_tol=1e-12))


def begin():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Named, or Selenium would look for them on the network.
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browsers = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")))
    options.binary_location = next(browsers, "")
    driver = webdriver.Chrome(options=options, service=service)
    # What a key opens is there a moment later.
    driver.implicitly_wait(5)
    return driver


driver = begin()
js = driver.execute_script


def size(width, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(**features):
    values = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": values})


def figures_are_the_files():
    """Every figure of table.csv stands in the data block and in the cells of the tables, and follows from the run's files."""
    data = json.loads(js("return document.getElementById('data').textContent"))
    cells = {(row["method"], name): cell for row in data["table"]["rows"] for name, cell in row["cells"].items()}
    shown = {}
    for kind in ("means", "differences"):
        for row in js(
            """return [...document.querySelectorAll('table.' + arguments[0] + ' tbody tr')].map((row) => [
                row.cells[0].textContent, [...row.cells].slice(1).map((cell) => ({...cell.dataset}))])""", kind):
            heads = js(
                """return [...document.querySelectorAll('table.' + arguments[0] + ' thead th')].slice(1)
                    .map((head) => head.dataset.column)""", kind)
            for name, cell in zip(heads, row[1]):
                shown[kind, row[0], name] = cell
    with open(report / "table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    check(len(table) == len(cells) > 20, f"table.csv has {len(table)} figures, the page's data {len(cells)}")
    for row in table:
        key = row["method"], row["column"]
        for kind, part, prefix in (("means", "value", ""), ("differences", "difference", "difference")):
            names = {"mean": prefix or "mean", "low": prefix + "Low" if prefix else "low",
                     "high": prefix + "High" if prefix else "high", "clusters": prefix + "Prompts" if prefix else "prompts"}
            cell = cells[key].get(part) or {}
            cell = cell.get("value", {}) if part == "difference" else cell
            seen = shown.get((kind, *key), {})
            for name, column in names.items():
                expected = number(row[column])
                check(same(cell.get(name), expected), f"{key} {kind} {name}: {cell.get(name)} in the data, {expected} in CSV")
                attribute = {"mean": "value", "clusters": "n"}.get(name, name)
                check(same(number(seen.get(attribute, "")), expected), f"{key} {kind} {name}: the cell has {seen}")
    # From the run's own files: means over prompts of means over seeds.
    gold = {line["answer"]: line["value"] for line in lines("gold.jsonl")}
    prompts = {}
    for answer in lines("answers.jsonl"):
        prompts.setdefault(("reward", answer["method"]), {}).setdefault(answer["prompt"], []).append(answer["reward"])
        if answer["answer"] in gold:
            key = "gold:held-out", answer["method"]
            prompts.setdefault(key, {}).setdefault(answer["prompt"], []).append(gold[answer["answer"]])
    check(len(prompts) > 10, "answers.jsonl has no rewards")
    for (column, method), values in prompts.items():
        mean = sum(sum(seeds) / len(seeds) for seeds in values.values()) / len(values)
        check(abs(cells[method, column]["value"]["mean"] - mean) < 1e-9, f"{method} {column} is not {mean}")
    return data


def texts_are_texts():
    """What models answered is shown letter for letter and nothing of it runs."""
    js("""const form = document.getElementById('answer-controls');
        form.all.checked = true; form.order.value = 'file'; form.dispatchEvent(new Event('input'));""")
    while driver.find_elements(By.CSS_SELECTOR, "button.more"):
        js("document.querySelector('button.more').click()")
    shown = set(js("return [...document.querySelectorAll('.answer > p:not(.soft)')].map((p) => p.textContent)"))
    expected = {answer["response"] for answer in lines("answers.jsonl")} - {""}
    check(shown == expected, f"{len(expected - shown)} answers are not shown as they are")
    turns = set(js("return [...document.querySelectorAll('.turn p')].map((p) => p.textContent)"))
    expected = {turn["content"] for answer in lines("answers.jsonl") for turn in answer["messages"]}
    check(turns == expected, "prompts are not shown as they are")
    check(js("return window.hacked === undefined && document.images.length === 0"), "an answer's markup was run")
    cards = js("return document.querySelectorAll('article').length")
    check(cards == len({(answer["prompt"], answer["seed"]) for answer in lines("answers.jsonl")}), f"{cards} articles")


def answers_are_in_order():
    """Best and worst first by the paired difference that answers.csv has; words leave out what does not hold them."""
    with open(report / "answers.csv", newline="") as file:
        answers = list(csv.DictReader(file))
    methods = list(dict.fromkeys(answer["method"] for answer in answers))
    own, other = methods[-1], methods[0]
    value = {(a["prompt"], a["seed"], a["method"]): float(a["reward"]) for a in answers}
    places = list(dict.fromkeys((a["prompt"], a["seed"]) for a in answers))
    differences = {place: value[(*place, own)] - value[(*place, other)] for place in places}
    form = driver.find_element(By.ID, "answer-controls")
    js("const form = arguments[0]; form.all.checked = false; form.words.value = ''", form)
    for name, text in (("own", own), ("other", other), ("column", "guiding reward")):
        Select(form.find_element(By.NAME, name)).select_by_visible_text(text)
    for order, sign in (("best first", -1), ("worst first", 1)):
        Select(form.find_element(By.NAME, "order")).select_by_visible_text(order)
        expected = sorted(places, key=lambda place: sign * differences[place])[:10]
        seen = js("""return [...document.querySelectorAll('article')].map((card) =>
            [card.querySelector('h3').textContent, card.querySelector('.difference').textContent])""")
        check(len(seen) == 10, f"{len(seen)} pairs are shown at first, not 10")
        for (prompt, seed), (title, difference) in zip(expected, seen):
            check(title == f"Prompt {prompt}, seed {seed}", f"{order}: {title} stands where prompt {prompt} should")
            figure = float(difference.split()[1].replace("−", "-"))
            check(abs(figure - differences[prompt, seed]) < 6e-4, f"{order}: {difference} of {title}")
    words = form.find_element(By.NAME, "words")
    words.send_keys("onerror")
    seen = js("return [...document.querySelectorAll('article')].map((card) => card.dataset.prompt)")
    check(set(seen) == {"0", "3"}, f"the filter shows prompts {seen}")
    check(js("return document.querySelectorAll('article mark').length") > 0, "what was looked for is not marked")
    words.send_keys(" no such word")
    check("No prompt" in driver.find_element(By.ID, "answer-count").text, "a search without a result says nothing")
    js("arguments[0].value = ''; arguments[0].form.dispatchEvent(new Event('input'))", words)


def keys_are_enough():
    """Tables sort by a key; boxes and traces are reached and moved in by keys; what has the focus shows it."""
    head = driver.find_element(By.CSS_SELECTOR, "table.means th[data-column='reward'] button")
    for order in ("descending", "ascending"):
        head.send_keys(Keys.ENTER)
        check(head.find_element(By.XPATH, "..").get_attribute("aria-sort") == order, f"the head does not say {order}")
        values = [float(v) for v in js(
            """const table = document.querySelector('table.means');
            const place = [...table.tHead.rows[0].cells].findIndex((head) => head.dataset.column === 'reward');
            return [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.value)""")]
        check(values == sorted(values, reverse=order == "descending"), f"rows are not {order}")
    Select(driver.find_element(By.NAME, "order")).select_by_value("file")
    summary = driver.find_element(By.CSS_SELECTOR, "article details summary")
    summary.send_keys(Keys.ENTER)
    token = driver.find_element(By.CSS_SELECTOR, ".tokens button[aria-pressed='true']")
    token.send_keys(Keys.ARROW_RIGHT)
    check(js("return document.activeElement === document.querySelectorAll('.tokens button')[1]"),
          "an arrow key does not go to the next token")
    check("Step 2" in driver.find_element(By.CSS_SELECTOR, "table.step caption").text, "the second step is not shown")
    check("however" in driver.find_element(By.CSS_SELECTOR, "table.step .chosen").text, "its choice is not marked")
    stops = js("return document.querySelectorAll('.tokens')[0].querySelectorAll('[tabindex=\"0\"]').length")
    check(stops == 1, f"the tokens of an answer are {stops} stops of the tab key")
    js("document.body.tabIndex = -1; document.body.focus(); window.scrollTo(0, 0)")
    seen = []
    for _ in range(14):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        place = js("""const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
            return [one.tagName, box.width > 0 && box.right > 0, style.outlineStyle, parseFloat(style.outlineWidth)]""")
        seen.append(place[0])
        check(place[1] and place[2] != "none" and place[3] >= 2, f"the focus on {place} cannot be seen")
    check(seen[:2] == ["A", "A"] and "DIV" in seen and "BUTTON" in seen, f"the tab key goes through {seen}")


OVERLAPS = """
const found = [];
for (const svg of document.querySelectorAll('svg.plot')) {
    if (!svg.getBoundingClientRect().width) continue;
    const view = svg.viewBox.baseVal, texts = [...svg.querySelectorAll('text')];
    const boxes = texts.map((text) => text.getBBox());
    boxes.forEach((box, index) => {
        if (texts[index].getAttribute('transform')) return;
        const text = texts[index].textContent;
        if (box.x < -0.5 || box.y < -0.5 || box.x + box.width > view.width + 0.5 || box.y + box.height > view.height + 0.5)
            found.push(`"${text}" leaves its plot "${svg.querySelector('title').textContent}"`);
        for (let other = 0; other < index; other++) {
            const b = boxes[other];
            const wide = Math.min(box.x + box.width, b.x + b.width) - Math.max(box.x, b.x);
            const tall = Math.min(box.y + box.height, b.y + b.height) - Math.max(box.y, b.y);
            if (wide > 1 && tall > 3) found.push(`"${text}" and "${texts[other].textContent}" overlap by ${wide} x ${tall}`);
        }
    });
}
return found;
"""

CONTRAST = """
function rgb(text) { const m = text.match(/[0-9.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; }
function light([r, g, b]) {
    const [x, y, z] = [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
function ground(element) {
    for (let one = element; one; one = one.parentElement) {
        const colour = rgb(getComputedStyle(one).backgroundColor);
        if (colour[3] > 0) return colour;
    }
    return [255, 255, 255, 1];
}
const found = new Set();
for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || ['SCRIPT', 'STYLE', 'OPTION'].includes(element.tagName)) continue;
    if (['title', 'desc'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgb(element.ownerSVGElement ? style.fill : style.color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.add(`${element.tagName}.${element.getAttribute('class')} has contrast ${ratio.toFixed(2)}`);
}
for (const mark of document.querySelectorAll('svg.plot path[class], svg.plot polyline, svg.plot circle')) {
    if (!mark.getClientRects().length || mark.getAttribute('fill-opacity')) continue;
    const style = getComputedStyle(mark);
    const colour = mark.classList.value.startsWith('f') ? style.fill : style.stroke;
    const [a, b] = [light(rgb(colour)), light(ground(mark.ownerSVGElement))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 3) found.add(`a mark ${mark.getAttribute('class')} has contrast ${ratio.toFixed(2)}`);
}
return [...found];
"""


def it_looks_right():
    """At each width, light and dark: nothing is cut or overlaps, and everything can be read."""
    for scheme in ("light", "dark"):
        for width in (360, 900, 1400):
            size(width)
            prefer(prefers_color_scheme=scheme)
            where = f"{width} pixels, {scheme}"
            wide = js("return document.documentElement.scrollWidth")
            check(wide <= width, f"{where}: the page is {wide} wide")
            for sentence in js(OVERLAPS) + js(CONTRAST):
                check(False, f"{where}: {sentence}")
            small = js("""return [...document.querySelectorAll('svg.plot text')].filter((text) =>
                text.getClientRects().length && text.getBoundingClientRect().height < 9.5).length""")
            check(small == 0, f"{where}: {small} texts of plots are too small")
            if screenshots:
                screenshots.mkdir(parents=True, exist_ok=True)
                picture(screenshots / f"{width}-{scheme}")
    size(900)
    prefer(prefers_reduced_motion="reduce")
    check(js("return getComputedStyle(document.documentElement).scrollBehavior") == "auto", "motion is not reduced")


def picture(path):
    """The page from top to bottom, in parts of a height that can be looked at."""
    js("document.activeElement.blur(); document.querySelectorAll('.box').forEach((box) => { box.scrollLeft = 0; })")
    width, total = js("return [innerWidth, document.documentElement.scrollHeight]")
    size(width, min(total, 16000))
    part = 1800 if width < 600 else 1400
    for index, top in enumerate(range(0, min(total, 16000), part)):
        clip = {"x": 0, "y": top, "width": width, "height": min(part, total - top), "scale": 1}
        options = {"format": "png", "clip": clip, "captureBeyondViewport": True}
        image = driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
        pathlib.Path(f"{path}-{index}.png").write_bytes(base64.b64decode(image))
    size(width)


try:
    size(1000)
    driver.get((report / "report.html").as_uri())
    figures_are_the_files()
    texts_are_texts()
    answers_are_in_order()
    keys_are_enough()
    it_looks_right()
    for entry in driver.get_log("browser"):
        check(False, f"the browser says: {entry['message']}")
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            check(re.match(r"file:.*/report\.html", url), f"the page asks for {url}")
finally:
    driver.quit()
print("\n".join(dict.fromkeys(failures)) or "the page holds")
sys.exit(bool(failures))
