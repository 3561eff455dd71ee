"""The page's arithmetic against another one: probabilities at the recorded α and at others, and which choices would change."""

import json
import math
import pathlib
import random

from browser import check

TRACES = pathlib.Path(__file__).parent / "traces"


def trace(name):
    return [json.loads(line) for line in (TRACES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def softmax(logits):
    most = max(logits)
    weights = [math.exp(one - most) for one in logits]
    return [weight / sum(weights) for weight in weights]


def same(left, right, what):
    for index, (a, b) in enumerate(zip(left, right, strict=True)):
        check(abs(a - b) < 1e-6, f"{what}, candidate {index}: {a}, not {b}")


def tilted(browser, line, alpha):
    """π_α as the page has it; the step goes through its reader, which knows infinities."""
    return browser.driver.execute_async_script(
        """const [line, alpha, done] = arguments;
        Promise.all([import('/playground/whatif.js'), import('/playground/trace.js')])
            .then(([w, t]) => done(w.tilted(t.readStep(line), alpha)));""", line, alpha)


def verdict(browser, line, alpha, is_drawn=False, is_exact=True):
    return browser.driver.execute_async_script(
        """const [line, alpha, isDrawn, isExact, done] = arguments;
        Promise.all([import('/playground/whatif.js'), import('/playground/trace.js')])
            .then(([w, t]) => done(w.verdict(t.readStep(line), alpha, { isDrawn, isExact })));""",
        line, alpha, is_drawn, is_exact)


def recorded_probabilities_come_back(browser):
    """At the recorded α, for every trace; from log π and Q by the formula itself where the reference is tilted."""
    steps = 0
    for file in sorted(TRACES.glob("*.jsonl")):
        if file.stem == "hostile":  # written by hand
            continue
        for line in trace(file.stem):
            if not isinstance(line.get("alpha"), (int, float)):
                continue
            steps += 1
            where = f"{file.stem}, step {line['step']}"
            recorded = [candidate["probability"] for candidate in line["candidates"]]
            same(tilted(browser, line, line["alpha"]), recorded, where)
            known = [candidate for candidate in line["candidates"] if "value" in candidate]
            if file.stem == "baseline" or not known:
                continue
            heat = 0.8 if file.stem == "drawn" else 1
            own = softmax([c["logProbability"] / heat + c["value"] / line["alpha"] for c in known])
            same(own, [c["probability"] for c in known], f"{where}, by the formula")
            for alpha in (0.03, 0.4, 7):
                own = softmax([c["logProbability"] / heat + c["value"] / alpha for c in known])
                page = [share for share, c in zip(tilted(browser, line, alpha), line["candidates"]) if "value" in c]
                same(page, own, f"{where} at α {alpha}")
    check(steps > 60, f"{steps} steps were compared")


def another_alpha_is_what_it_chose(browser):
    """A step recorded at α 0.25 is what the page says of the same step at another α."""
    one, other = trace("full")[0], trace("full-quarter")[0]
    page = dict(zip([c["text"] for c in one["candidates"]], tilted(browser, one, 0.25)))
    recorded = {c["text"]: c["probability"] for c in other["candidates"]}
    check(page.keys() == recorded.keys(), "the two recordings have other candidates")
    for text, share in recorded.items():
        check(abs(page[text] - share) < 1e-6, f"at α 0.25 “{text}” has {share}, not {page[text]}")
    said = verdict(browser, one, 0.25)
    chosen = next(c["text"] for c in other["candidates"] if c["isChosen"])
    check(said["choice"] is not None and one["candidates"][said["choice"]]["text"] == chosen, f"at α 0.25 {chosen} is chosen, not {said}")


def best(logs, values, alpha):
    return max(range(len(logs)), key=lambda index: logs[index] + values[index] / alpha)


def pruned_step(logs, values, alpha, known):
    """A step as an exact search records it that saw only some values."""
    chosen = best(logs, values, alpha)
    origin = max((values[index] for index in known), default=0)
    candidates = []
    for index, log in enumerate(logs):
        candidate = {"text": str(index), "tokens": [index], "logProbability": log, "score": log, "rollouts": [],
                     "probability": 0, "isChosen": index == chosen}
        if index in known:
            candidate |= {"value": values[index], "score": log + (values[index] - origin) / alpha}
        candidates.append(candidate)
    shares = softmax([c["score"] for c in candidates if "value" in c]) if known else [1]
    for candidate, share in zip([c for c in candidates if "value" in c] or [candidates[chosen]], shares):
        candidate["probability"] = share
    return {"step": 0, "text": str(chosen), "candidates": candidates, "alpha": alpha, "kl": 0, "klKind": "pointMass"}


def verdicts_are_true(browser):
    """What is called certain holds for the values that the search left out, in random steps; without any left out all is."""
    source = random.Random(7)
    cases = []
    for _ in range(400):
        size = source.randint(2, 5)
        logs = [math.log(source.random()) for _ in range(size)]
        values = [source.gauss(0, 1) for _ in range(size)]
        alpha = math.exp(source.gauss(0, 1))
        chosen = best(logs, values, alpha)
        known = {index for index in range(size) if source.random() < 0.6}
        if source.random() < 0.8:
            known.add(chosen)
        for factor in (0.1, 0.6, 1.7, 20):
            cases.append((logs, values, alpha, known, alpha * factor))
    lines = [pruned_step(*case[:4]) for case in cases]
    said = browser.driver.execute_async_script(
        """const [lines, alphas, done] = arguments;
        Promise.all([import('/playground/whatif.js'), import('/playground/trace.js')]).then(([w, t]) => {
            const steps = lines.map(t.readStep);
            done([true, false].map((isExact) => steps.map((step, i) => w.verdict(step, alphas[i], { isDrawn: false, isExact }))));
        });""", lines, [case[4] for case in cases])
    kinds = {}
    for is_exact, verdicts in zip((True, False), said):
        for (logs, values, alpha, known, other), one in zip(cases, verdicts):
            before, now = best(logs, values, alpha), best(logs, values, other)
            kinds[is_exact, one["kind"]] = kinds.get((is_exact, one["kind"]), 0) + 1
            where = f"log π {logs}, Q {values}, known {known}, α {alpha} to {other}"
            if one["kind"] == "same":
                check(now == before, f"{where}: the choice changes, but is said to stay")
            elif one["kind"] == "changed":
                check(now != before and one["choice"] in (None, now), f"{where}: {now}, not {one}")
            elif len(known) == len(logs):
                check(False, f"{where}: uncertain though all is known")
    for kind, least in (("same", 300), ("changed", 150), ("uncertain", 100)):
        check(kinds.get((True, kind), 0) >= least, f"{kinds}: too few of {kind}")
    check(kinds[False, "uncertain"] > kinds[True, "uncertain"], "an approximate search proves as much as an exact one")


def gumbel(source):
    return -math.log(-math.log(source.random()))


def draws_change_as_often(browser):
    """The chance that a draw changes, against draws."""
    logs, values, alpha, other = [math.log(p) for p in (0.5, 0.3, 0.15)], [0.0, 0.6, 1.1], 1.0, 0.4
    source, kept, drawn = random.Random(3), {}, {}
    for _ in range(40_000):
        noise = [gumbel(source) for _ in logs]
        first, second = (max(range(3), key=lambda i: logs[i] + values[i] / one + noise[i]) for one in (alpha, other))
        drawn[first] = drawn.get(first, 0) + 1
        kept[first] = kept.get(first, 0) + (first == second)
    for chosen in range(3):
        line = pruned_step(logs, values, alpha, {0, 1, 2})
        for index, candidate in enumerate(line["candidates"]):
            candidate["isChosen"] = index == chosen
        line["klKind"] = "divergence"
        chance = verdict(browser, line, other, is_drawn=True)["chance"]
        seen = 1 - kept[chosen] / drawn[chosen]
        check(abs(chance - seen) < 0.015, f"a draw of {chosen} changes in {seen} of the draws, not in {chance}")


def sums_are_those_of_the_trace(browser):
    """Moved tokens and the lead, by another way; a step that a budget left to the reference has no α to ask for."""
    for name in ("guided", "full", "baseline"):
        lines = trace(name)
        page = browser.driver.execute_async_script(
            """const [lines, done] = arguments;
            import('/playground/trace.js').then((t) => done(lines.map(t.readStep).map((s) => [t.isMoved(s), t.lead(s)])));""", lines)
        for line, (moved, lead) in zip(lines, page):
            logs = [c["logProbability"] for c in line["candidates"]]
            own = next(c["logProbability"] for c in line["candidates"] if c["isChosen"])
            check(abs(lead - (max(logs) - own)) < 1e-12 and moved == (own < max(logs)), f"{name}, step {line['step']}: {moved}, {lead}")
    free = next(line for line in trace("budget") if line["alpha"] == "inf")
    check(verdict(browser, free, 0.1, is_drawn=True)["kind"] == "same", "a step without α changes with it")


def all_of_it(browser):
    for test in (recorded_probabilities_come_back, another_alpha_is_what_it_chose, verdicts_are_true, draws_change_as_often,
                 sums_are_those_of_the_trace):
        test(browser)
