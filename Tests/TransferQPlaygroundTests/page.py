"""What tests of the page do again and again, and what it must look like everywhere."""

import os
import pathlib
import sys
import time

from selenium.webdriver.common.keys import Keys

from browser import check

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE.parent.parent / "Sources/TransferQPlayground/Page"
TRACES = HERE / "traces"
LOOKS = (HERE / "looks.js").read_text()
pages = pathlib.Path(sys.argv[1]).resolve()
screenshots = sys.argv[2] if len(sys.argv) > 2 else None
QUESTION = "A colleague takes the credit for my work. What should I say to her?"
GUIDED = ".answer[aria-label='Guided']"
PLAIN = ".answer[aria-label='Plain']"


def begin(browser, server, mode="normal", delay=0.004):
    server.mode, server.delay, server.requests[:], server.sent[:], server.disconnects = mode, delay, [], [], 0
    browser.open(server.url)
    browser.wait(lambda: browser.count("#preset option") == 2 or mode in ("key", "gone"), "the presets are there")


def ask(browser, text=QUESTION):
    browser.one("#prompt").send_keys(text + Keys.ENTER)


def is_idle(browser):
    return browser.js("return document.getElementById('stop').hidden && !document.querySelector('.running')")


def answer(browser, text=QUESTION, seconds=15):
    count = browser.count(".turn")
    ask(browser, text)
    browser.wait(lambda: browser.count(".turn") > count and is_idle(browser), "the answers have ended", seconds)


def token(browser, index, within=GUIDED):
    return browser.all(f"{within} .token")[index]


DROP = """
const files = new DataTransfer();
files.items.add(new File([arguments[0]], arguments[1]));
for (const name of ['dragover', 'drop']) {
    const event = new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: files });
    document.body.dispatchEvent(event);
    if (name === 'dragover') window.overlay = !document.getElementById('drop').hidden;
}
"""


def looks(browser, name):
    # Widths matter in one scheme, colours at one width.
    pictured = (360, 900, 1440) if screenshots else ()
    for scheme, widths in (("light", {320, 900, 1440, 2200, *pictured}), ("dark", {1440, *pictured})):
        for width in sorted(widths):
            browser.size(width, 780 if width < 600 else 900)
            browser.prefer(prefers_color_scheme=scheme)
            time.sleep(0.05)
            for sentence in browser.js(LOOKS):
                check(False, f"{name}, {width} pixels, {scheme}: {sentence}")
            if width in pictured:
                browser.picture(screenshots, f"{width}-{scheme}-{name}")
    browser.size(1440)
    browser.prefer(prefers_color_scheme="light")


def it_looks_right(browser, server):
    """At each width, light and dark: nothing leaves the page, everything can be read, targets are large enough."""
    begin(browser, server)
    looks(browser, "1-empty")
    browser.js("document.getElementById('settings').classList.add('shown')")
    looks(browser, "2-settings")
    browser.js("document.getElementById('settings').classList.remove('shown')")
    server.delay = 0.3
    ask(browser)
    browser.wait(lambda: browser.count(f"{GUIDED} .token") >= 12, "some tokens are there")
    looks(browser, "3-stream")
    server.delay = 0
    browser.wait(lambda: is_idle(browser), "the answers have ended", 30)
    looks(browser, "4-answers")
    browser.click(token(browser, 0))
    looks(browser, "5-open")
    browser.js("const s = document.querySelector(arguments[0]); s.value = '-2'; s.dispatchEvent(new Event('input'))", f"{GUIDED} .alpha")
    looks(browser, "6-alpha")
    browser.one("#inspector [aria-label='Close']").click()
    browser.js("document.querySelector('.what-if').scrollIntoView({block: 'center'})")
    looks(browser, "7-changes")
    for mode, name in (("busy", "8-busy"), ("error", "9-error")):
        begin(browser, server, mode=mode)
        answer(browser)
        looks(browser, name)
    begin(browser, server)
    browser.js(DROP, (TRACES / "drawn.jsonl").read_text(), "drawn.jsonl")
    browser.wait(lambda: browser.count(".trace .token") == 8, "the trace is there")
    browser.click(browser.all(".tokens .token")[2])
    looks(browser, "10-trace")
    browser.prefer(prefers_reduced_motion="reduce")
    moving = browser.js("""return [...document.querySelectorAll('*')].filter((one) =>
        ['', '::before', '::after'].some((part) => getComputedStyle(one, part || null).animationName !== 'none')).length""")
    check(moving == 0, f"{moving} elements move though motion is to be reduced")
    browser.prefer(prefers_reduced_motion="no-preference")


def a_real_server(browser, _):
    browser.open(os.environ["TRANSFERQ_SERVER"])
    browser.wait(lambda: browser.count("#preset option") > 0, "the server's presets are there")
    browser.one("#length").clear()
    browser.one("#length").send_keys("24")
    answer(browser, seconds=120)
    for within in (GUIDED, PLAIN):
        check(browser.count(f"{within} .token") > 3, f"the server's answer has too few tokens: {browser.text('.turn')}")
    browser.click(token(browser, 2))
    check(browser.count(".candidates tbody tr[data-candidate]") > 1, "a token of the server does not open")
    check(browser.count(f"{GUIDED} .alpha") == 1, "the server's answer has no alpha to drag")
    check("Reward" in browser.text(f"{GUIDED} .rewards") and "rollout token" in browser.text(f"{GUIDED} .cost"), "costs")
    looks(browser, "11-server")
    # What it refuses, and what is stopped.
    browser.click(browser.one("#compare"))
    browser.one("#k").send_keys("99999")
    answer(browser, "Too many?", 60)
    sentence = browser.text(f".turn:last-child {GUIDED} .failure p")
    check("k" in sentence and "99999" in sentence, f"k 99999 is refused with: {sentence}")
    browser.one("#k").clear()
    browser.one("#length").clear()
    browser.one("#length").send_keys("200")
    ask(browser, "Tell me a long story.")
    browser.wait(lambda: browser.count(f".turn:last-child {GUIDED} .token") > 2, "some tokens are there", 60)
    browser.one("#stop").click()
    browser.wait(lambda: is_idle(browser), "the answers have stopped", 3)
    browser.one("#length").clear()
    browser.one("#length").send_keys("8")
    answer(browser, "And a short one?", 60)
    check(browser.count(f".turn:last-child {GUIDED} .token") > 1, "no answer comes after one that was stopped")
