"""Uses the playground in Chromium as a person would: on recorded traces, and in every way that a server may fail.

    python playground_page.py PAGES [SCREENSHOTS]

PAGES is a folder with guided.html and hostile.html, which `transferq trace view` wrote. Prints what does not hold, a line each,
and exits with 1. TRANSFERQ_SERVER=ADDRESS asks a running `transferq serve` instead.
"""

import json
import math
import os
import sys
import time

from selenium.webdriver.common.keys import Keys

import arithmetic
from browser import Browser, check, failures
from page import (DROP, FILES, GUIDED, PLAIN, QUESTION, TRACES, a_real_server, answer, ask, begin, is_idle, it_looks_right, looks,
                  pages, token)
from replay_server import ReplayServer


def tokens_arrive_one_by_one(browser, server):
    """Side by side from the same seed; what is there stays where it is while more comes."""
    begin(browser, server, delay=0.03)
    browser.js("""
        window.seen = []; window.shift = 0; window.places = [];
        const look = () => [...document.querySelectorAll('.answer .token')].slice(0, 3).map((one) => {
            const box = one.getBoundingClientRect();
            return [Math.round(box.left), Math.round(box.top + scrollY)];
        });
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
        }).observe({ type: 'layout-shift' });
        new MutationObserver((list) => {
            for (const change of list) for (const node of change.addedNodes) {
                if (!node.classList?.contains('token') || !node.closest("[aria-label='Guided']")) continue;
                window.seen.push(Date.now() / 1000);
                const composer = document.getElementById('composer').getBoundingClientRect().top;
                if (window.seen.length > 3) window.places.push(JSON.stringify([look(), composer]));
            }
        }).observe(document.getElementById('conversation'), { childList: true, subtree: true });""")
    answer(browser)
    seen = browser.js("return window.seen")
    check(len(seen) == 40 and seen[-1] - seen[0] > 1, f"{len(seen)} tokens came within {seen[-1] - seen[0]:.1f} s")
    # A token is shown before the server sends the one after the next few: even where other work keeps the machine busy.
    in_time = sum(shown < sent for shown, sent in zip(seen, server.sent[4:]))
    check(in_time >= 30, f"only {in_time} of 36 tokens were shown before the fourth after them was sent")
    places = browser.js("return [...new Set(window.places)]")
    check(len(places) == 1, f"what is shown moves while more comes: {places}")
    shift = browser.js("return window.shift")
    check(shift < 0.05, f"the layout shifts by {shift}")
    for within, steps in ((GUIDED, server.guided), (PLAIN, server.plain)):
        text = browser.text(f"{within} .tokens")
        check(text == "".join(step["text"] for step in steps), f"{within} shows {text!r}")
    guided, plain = server.requests if "k" not in server.requests[0] else (None, None)
    if plain["transferq"]["method"] != "greedy":
        guided, plain = plain, guided
    check(guided["transferq"] == {"method": "transfer-q", "trace": True}, f"guided: {guided}")
    check(plain["transferq"] == {"method": "greedy", "trace": True}, f"plain: {plain}")
    for request in (guided, plain):
        check(request["seed"] == 0 and request["max_tokens"] == 96 and request["stream"] is True and request["model"] == "kind"
              and request["messages"] == [{"role": "user", "content": QUESTION}], f"{request}")
    check("1,114 rollout tokens" in browser.text(f"{GUIDED} .cost") and "9.60 s" in browser.text(f"{GUIDED} .cost"), "costs")
    check(browser.text(f"{GUIDED} .rewards") == "Reward 2.38 = 2.08 harmless + 0.30 length:30", browser.text(f"{GUIDED} .rewards"))
    # The next turn brings the guided answer along, and what the controls say.
    for name, value in (("alpha", "0.5"), ("k", "6"), ("horizon", "12"), ("confidence", "0.99"), ("length", "5"), ("seed", "7")):
        field = browser.one(f"#{name}")
        field.clear()
        field.send_keys(value)
    browser.click(browser.one("#compare"))
    server.requests.clear()
    answer(browser, "And then?")
    check(len(server.requests) == 1, "without comparison two answers are asked for")
    request = server.requests[0]
    check(request["transferq"] == {"method": "transfer-q", "trace": True, "alpha": 0.5, "k": 6, "horizon": 12, "confidence": 0.99}
          and request["seed"] == 7 and request["max_tokens"] == 5, f"{request}")
    check([message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
          and request["messages"][1]["content"] == "".join(step["text"] for step in server.guided), "the conversation is not kept")
    field = browser.one("#k")
    field.clear()
    field.send_keys("0")
    server.requests.clear()
    ask(browser, "No?")
    check(not server.requests and browser.count(".turn") == 2, "a request with k 0 was sent")


def tokens_open(browser, server):
    """Colours are the KL of the steps; a click shows every candidate as the trace has it."""
    begin(browser, server)
    answer(browser)
    heats = browser.js("return [...document.querySelectorAll(arguments[0])].map((one) => Number(one.style.getPropertyValue('--heat')))",
                       f"{GUIDED} .token")
    for heat, step in zip(heats, server.guided, strict=True):
        check(abs(heat - (1 - math.exp(-step["kl"] / 1.5))) < 1e-3, f"step {step['step']} has the colour {heat}")
    for index in (0, 3, 17, 39):
        step = server.guided[index]
        browser.click(token(browser, index))
        check(f"Step {index + 1} " in browser.text("#inspector-title"), f"step {index} does not open")
        rows = browser.js("""return [...document.querySelectorAll('.candidates tbody tr[data-candidate]')].map((row) =>
            [...row.cells].map((cell) => cell.textContent))""")
        check(len(rows) == len(step["candidates"]), f"step {index}: {len(rows)} candidates")
        for row, one in zip(rows, step["candidates"]):
            number = [cell.replace("−", "-") for cell in row]
            check(("chosen" in row[0]) == one["isChosen"], f"step {index}: {row[0]} and {one['isChosen']}")
            check(abs(float(number[1]) - one["logProbability"]) < 0.006, f"step {index}: log π {row}")
            check(row[2] == "unknown" if "value" not in one else abs(float(number[2]) - one["value"]) < 0.006, f"step {index}: Q {row}")
            if "value" not in one and one["probability"] == 0:
                check(row[3] == "–", f"step {index}: {row}")
                continue
            share = float(row[3].removesuffix(" %").replace("< ", "").replace("> ", ""))
            check(abs(share - 100 * one["probability"]) < 0.6, f"step {index}: {row}")
        for button in browser.all(".candidates .expand[aria-expanded='false']"):
            browser.click(button)
            place = int(browser.js("return document.activeElement.closest('tr').dataset.candidate"))
            shown = browser.text(f"#rollouts-{place}")
            for rollout in step["candidates"][place]["rollouts"]:
                check(rollout["text"] in shown and f"reward {rollout['reward']:.2f}".replace("-", "−") in shown,
                      f"step {index}, candidate {place}: {shown}")
    browser.one("#inspector [aria-label='Step before']").click()
    check("Step 39 " in browser.text("#inspector-title"), "the step before does not show")
    browser.one("#inspector [aria-label='Close']").click()
    check(not browser.one("#inspector .panel").is_displayed(), "the panel does not close")


def another_alpha(browser, server):
    """The slider, by keys: marks, the sentence, the list, and the open step all say the same."""
    begin(browser, server)
    server.guided = [json.loads(line) for line in (TRACES / "full.jsonl").read_text().splitlines()]
    answer(browser)
    server.guided = guided
    browser.click(token(browser, 0))
    slider = browser.one(f"{GUIDED} .alpha")
    browser.js("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", slider)
    slider.send_keys(Keys.HOME)
    check(browser.text(f"{GUIDED} .alpha-text") == f"{1.0198039 / 16:.3f}", browser.text(f"{GUIDED} .alpha-text"))
    full = arithmetic.trace("full")
    changed = []
    for step in full:
        scores = [c["logProbability"] + c["value"] * 16 / step["alpha"] for c in step["candidates"]]
        now = step["candidates"][scores.index(max(scores))]
        if not now["isChosen"]:
            changed.append(step["step"])
    marked = browser.js("return [...document.querySelectorAll('.token.changed')].map((one) => Number(one.dataset.index))")
    check(marked == changed and changed, f"steps {changed} change, {marked} are marked")
    check(browser.count(".token.uncertain") == 0, "steps are uncertain whose values are all known")
    sentence = browser.text(f"{GUIDED} .result")
    check(sentence == f"{len(changed)} of 10 choices would change (struck through).", sentence)
    check(browser.count(f"{GUIDED} .change") == len(changed), "the list of changes has another length")
    browser.click(browser.one(f"{GUIDED} .change"))
    check(f"Step {changed[0] + 1} " in browser.text("#inspector-title"), "a change does not open its step")
    check("is chosen" in browser.text(".verdict") and browser.count(".tag.new") == 1, "the open step does not show the new choice")
    browser.click(browser.one(f"{GUIDED} .what-if button[aria-label='Back to the recorded alpha']"))
    check(browser.count(".token.changed") == 0 and browser.count(".verdict") == 0, "the recorded alpha does not come back")
    # Where values were left out, choices are uncertain.
    begin(browser, server)
    answer(browser)
    browser.js("const s = document.querySelector(arguments[0]); s.value = '-2'; s.dispatchEvent(new Event('input'))", f"{GUIDED} .alpha")
    check(browser.count(".token.uncertain") > 10 and "uncertain" in browser.text(f"{GUIDED} .result"), browser.text(f"{GUIDED} .result"))
    check(browser.count(f"{PLAIN} .alpha") == 0, "plain decoding has an alpha to drag")


def traces_open(browser, server):
    """By drop and by the chooser; a file that is none is refused with the line."""
    begin(browser, server)
    text = (TRACES / "drawn.jsonl").read_text()
    browser.js(DROP, text, "drawn.jsonl")
    browser.wait(lambda: browser.count(".trace .token") == 8, "the dropped trace is there")
    check(browser.js("return window.overlay"), "nothing shows that a file may be dropped")
    check(browser.text(".trace .tokens") == "".join(json.loads(line)["text"] for line in text.splitlines()), "the trace's text")
    check(QUESTION in browser.text(".trace .message"), "the trace's prompt is not shown")
    browser.js("const s = document.querySelector('.trace .alpha'); s.value = '-2'; s.dispatchEvent(new Event('input'))")
    check("would change" in browser.text(".trace .result") and "might" in browser.text(".trace .result"), browser.text(".trace .result"))
    browser.one("#trace-file").send_keys(str(TRACES / "budget.jsonl"))
    browser.wait(lambda: browser.count(".trace") == 2, "the chosen trace is there")
    check("Trace budget.jsonl" in browser.text(".trace:last-child h2"), "the trace's name")
    for content, sentence in (
        ("nothing", "Line 1 is no step of a trace: it is no JSON."), (text + '{"a": 1}', "Line 9 is no step of a trace: it has no text"),
        ("", "There is no step in it."), ('{"text": "a", "candidates": [{"text": "a"}]}', "no log-probability"),
    ):
        browser.js(DROP, content, "stranger.txt")
        browser.wait(lambda: sentence in browser.text("#banner"), f"the page says: {sentence}")
        check(browser.one("#banner").is_displayed() and browser.count(".trace") == 2, "a stranger is shown")
    # Many answers come in parts.
    lines = [json.loads(line) for line in text.splitlines()[:2]]
    batch = "\n".join(json.dumps(line | {"prompt": prompt}) for prompt in range(25) for line in lines)
    browser.js(DROP, batch, "batch.jsonl")
    browser.wait(lambda: browser.count(".trace:last-child .answer") == 10, "ten answers are shown")
    browser.click(browser.one(".more"))
    browser.click(browser.one(".more"))
    check(browser.count(".trace:last-child .answer") == 25 and browser.count(".more") == 0, "the other answers do not come")


def stopping(browser, server):
    begin(browser, server, mode="slow")
    ask(browser)
    browser.wait(lambda: browser.count(f"{GUIDED} .token") >= 2, "two tokens are there")
    browser.one("#stop").click()
    browser.wait(lambda: is_idle(browser), "the answers have stopped", 2)
    shown = browser.count(f"{GUIDED} .token")
    check("stopped" in browser.text(f"{GUIDED} .cost"), browser.text(f"{GUIDED} .cost"))
    browser.wait(lambda: server.disconnects == 2, "the server sees two clients go", 3)
    check(browser.count(f"{GUIDED} .token") == shown and shown < 10, "tokens come after the stop")
    check(browser.one("#send").is_displayed(), "nothing can be sent after a stop")
    begin(browser, server, mode="waits")
    ask(browser)
    browser.wait(lambda: browser.one(f"{GUIDED} .waiting").is_displayed(), "the page says that it waits")
    browser.one("#stop").click()
    browser.wait(lambda: "Stopped before the first token" in browser.text(GUIDED), "the answer says that it was stopped")


def failing(browser, server):
    """Each way to fail has its sentence; what came is kept; another try may succeed."""
    for mode, sentence, count in (
        ("busy", "The server is busy: its waiting line is full. Try again in 3\u00a0s.", 0),
        ("refused", "k must be at most 49152, not 100000; choose another", 0),
        ("error", "the reward server stopped answering", 8),
        ("cut", "The connection ended before the answer did. What came is kept.", 8),
        ("stranger", "The server sent something that is no JSON.", 8),
    ):
        begin(browser, server, mode=mode)
        answer(browser)
        check(sentence in browser.text(f"{GUIDED} .failure"), f"{mode}: {browser.text(f'{GUIDED} .failure')}")
        check(browser.count(f"{GUIDED} .token") == count, f"{mode}: {browser.count(f'{GUIDED} .token')} tokens")
        if count:
            browser.click(token(browser, 2))
            check("Step 3 " in browser.text("#inspector-title"), f"{mode}: tokens that came do not open")
            browser.one("#inspector [aria-label='Close']").click()
        server.mode = "normal"
        browser.click(browser.one(f"{GUIDED} .failure button"))
        browser.wait(lambda: is_idle(browser) and browser.count(f"{GUIDED} .token") == 40, f"{mode}: another try succeeds")
        check(not browser.one(f"{GUIDED} .failure").is_displayed(), f"{mode}: the failure stays")
    begin(browser, server, mode="key")
    browser.wait(lambda: "API key" in browser.text("#banner") and browser.one("#key").is_displayed(), "the page asks for a key")
    browser.one("#key").send_keys("secret" + Keys.TAB)
    browser.wait(lambda: browser.count("#preset option") == 2, "the presets come with the key")
    answer(browser)
    check(browser.count(f"{GUIDED} .token") == 40, "no answer with the key")
    # A server that is gone.
    lonely = ReplayServer(FILES, TRACES / "guided.jsonl", TRACES / "plain.jsonl").begin()
    begin(browser, lonely)
    lonely.shutdown()
    lonely.server_close()
    answer(browser)
    check("The server does not answer" in browser.text(f"{GUIDED} .failure"), browser.text(f"{GUIDED} .failure"))


FOCUS = """const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
return [one.id || one.className || one.tagName, box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]"""


def keys_are_enough(browser, server):
    """From the first key on: a question, an answer, its tokens, their details, and out again."""
    begin(browser, server)
    seen = []
    # Once around: what has the focus is seen, and the end is reached.
    for _ in range(40):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        name, is_there, is_marked = browser.js(FOCUS)
        if name == "BODY" or (seen and name == seen[0]):
            break
        seen.append(name)
        check(is_there and is_marked, f"the focus on {name} cannot be seen")
    for name in ("open-trace", "preset", "method", "compare", "alpha", "k", "horizon", "confidence", "length", "seed", "example",
                 "prompt", "send"):
        check(any(name in one for one in seen), f"the tab key does not reach {name}: {seen}")
    browser.one("#prompt").send_keys("")
    browser.js("document.getElementById('prompt').focus()")
    browser.driver.switch_to.active_element.send_keys("Why?" + Keys.SHIFT + Keys.ENTER + Keys.NULL + "How?")
    check(browser.one("#prompt").get_attribute("value") == "Why?\nHow?", "Shift and Enter make no line")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait(lambda: browser.count(f"{GUIDED} .token") == 40 and is_idle(browser), "the answers have ended")
    check(browser.js("return document.activeElement.id") == "prompt", "the focus left the prompt")
    for _ in range(30):
        if browser.js("return document.activeElement.matches('.token')"):
            break
        browser.driver.switch_to.active_element.send_keys(Keys.SHIFT + Keys.TAB + Keys.NULL)
    first = browser.js("return document.activeElement.closest('.answer').getAttribute('aria-label')")
    check(first == "Plain", f"Shift and Tab come to {first} first")
    browser.js("document.querySelector(arguments[0]).focus()", f"{GUIDED} .token")

    def at():
        return browser.js("return Number(document.activeElement.dataset.index)")

    def press(key):
        browser.driver.switch_to.active_element.send_keys(key)

    for key, place in ((Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1), (Keys.END, 39), (Keys.ARROW_RIGHT, 39),
                       (Keys.HOME, 0), (Keys.ARROW_LEFT, 0)):
        press(key)
        check(at() == place and browser.js(FOCUS)[1:] == [True, True], f"{key!r} goes to {at()}, not {place}")
    press(Keys.ARROW_DOWN)
    line = at()
    check(3 < line < 15, f"the arrow down goes to token {line}")
    press(Keys.ARROW_UP)
    check(at() == 0, f"the arrow up goes to token {at()}")
    press(Keys.ENTER)
    check("Step 1 " in browser.text("#inspector-title"), "Enter opens no token")
    press(Keys.ARROW_RIGHT)
    check("Step 2 " in browser.text("#inspector-title") and at() == 1, "the open step does not follow the keys")
    press(Keys.ESCAPE)
    check(not browser.one("#inspector .panel").is_displayed() and at() == 1, "Escape does not close, or loses the token")
    press(Keys.SPACE)
    check("Step 2 " in browser.text("#inspector-title"), "the space bar opens no token")
    browser.js("document.querySelector('#inspector .expand').focus()")
    press(Keys.ESCAPE)
    check(not browser.one("#inspector .panel").is_displayed() and at() == 1, "Escape in the panel does not lead back")
    press(Keys.TAB)
    check(not browser.js("return document.activeElement.matches('.token')"), "the tab key does not leave the tokens")
    label = token(browser, 0).get_attribute("aria-label")
    check("step 1" in label and "nats" in label, f"a token is called {label}")
    check("Guided answer" in browser.text("#announcement") or "Plain answer" in browser.text("#announcement"), "nothing is announced")


def texts_are_texts(browser, server):
    """Whatever a model or a trace says is shown letter for letter and nothing of it runs."""
    begin(browser, server)
    hostile = (TRACES / "hostile.jsonl").read_text()
    browser.js(DROP, hostile, "hostile.jsonl")
    browser.wait(lambda: browser.count(".trace .token") > 0, "the trace is there")
    hostile_is_shown(browser)


def hostile_is_shown(browser):
    step = json.loads((TRACES / "hostile.jsonl").read_text().splitlines()[0])
    check(browser.text(".tokens .token") == step["text"], f"{browser.text('.tokens .token')!r} stands for {step['text']!r}")
    browser.click(browser.all(".tokens .token")[-1])
    shown = browser.text("#inspector")
    for text in ("<script>hacked = 1</script>", "</script><script>hacked = 2</script>"):
        check(text in shown, f"{text} is not shown in {shown}")
    check("<b>bold</b>" in browser.text(".message"), "the prompt is not shown as it is")
    check(browser.js("return window.hacked === undefined && document.images.length === 0 && !document.querySelector('main b')"),
          "something of the trace ran")


def the_file_stands_alone(browser, server):
    """What `trace view` wrote: the same view, nothing loaded, nothing of the trace run."""
    browser.size(1440)
    browser.requests()
    browser.open((pages / "guided.html").as_uri())
    browser.wait(lambda: browser.count(".tokens .token") == 40, "the page shows the trace")
    check(browser.text(".tokens") == "".join(step["text"] for step in server.guided), "the page's text")
    check(QUESTION in browser.text(".message"), "the page's prompt")
    check(not browser.one("#composer").is_displayed() and not browser.one("#settings").is_displayed(), "controls of a server are shown")
    browser.click(browser.all(".tokens .token")[3])
    check("Step 4 " in browser.text("#inspector-title"), "a token does not open")
    browser.js("const s = document.querySelector('.alpha'); s.value = '-2'; s.dispatchEvent(new Event('input'))")
    check("would change" in browser.text(".result"), "no other alpha can be tried")
    looks(browser, "file")
    asked = [url for url in browser.requests() if not url.endswith("/guided.html")]
    check(not asked, f"the page asks for {asked}")
    browser.open((pages / "hostile.html").as_uri())
    browser.wait(lambda: browser.count(".tokens .token") > 0, "the page shows the trace")
    hostile_is_shown(browser)


server = ReplayServer(FILES, TRACES / "guided.jsonl", TRACES / "plain.jsonl").begin()
guided = server.guided
browser = Browser()
try:
    tests = (tokens_arrive_one_by_one, tokens_open, another_alpha, traces_open, stopping, failing, keys_are_enough,
             texts_are_texts, it_looks_right, the_file_stands_alone)
    for test in (a_real_server,) if "TRANSFERQ_SERVER" in os.environ else tests:
        start = time.monotonic()
        browser.size(1440)
        test(browser, server)
        if test is tokens_open:
            arithmetic.all_of_it(browser)
        asked = [url for url in browser.requests() if not url.startswith(("http://127.0.0.1:", "file:", "data:"))]
        check(not asked, f"{test.__name__}: the page asks for {asked}")
        # Refusals that tests provoke are in the console as well.
        for message in browser.complaints(("status of 429", "status of 400", "status of 401", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE")):
            check(False, f"{test.__name__}: the browser says: {message}")
        print(f"{test.__name__}: {time.monotonic() - start:.1f} s", file=sys.stderr)
finally:
    browser.driver.quit()
print("\n".join(dict.fromkeys(failures)) or "the page holds")
sys.exit(bool(failures))
