"""How the values of a step's candidates go along with the anchor's: what `ValueScale` in Sources/TransferQ/Search rests on.

Reads a trace of searches in full with a stated range and α = 1, for example (α and range as options otherwise):

    transferq generate --batch train.jsonl.gz --limit 30 --model smollm2-135m-instruct@bf16 \
      --reward z:head:Rewards/harmless.json@bf16 --tilt baseline --baseline-system "$KINDNESS" --alpha 1 --k 10 \
      --horizon 20 --choice greedy --max-tokens 48 --without prune --seed 1 --trace trace.jsonl --output traced.jsonl
    python3 Benchmarks/value_differences.py trace.jsonl

Needs Python 3.10 and nothing else.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Iterator

Pair = tuple[float, float]  # the anchor's value, and another candidate's


def steps(path: str, alpha: float) -> Iterator[tuple[int, list[float], float]]:
    """The prompt's number, the values of each step, the anchor's first, and that of the choice."""
    with open(path, encoding="utf-8") as lines:
        for line in filter(str.strip, lines):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # a run that was cut leaves half a line
                return
            candidates = record["candidates"]
            if not isinstance(candidates, list) or any(c.get("value") is None for c in candidates):
                continue
            candidates.sort(key=lambda c: c["value"] / alpha - c["score"])
            chosen = max(candidates, key=lambda c: c["score"])["value"]
            yield record.get("prompt", 0), [c["value"] for c in candidates], chosen


def stretched(half: float) -> Callable[[float], float]:
    """The scale of a range of ±half without its ends."""
    return lambda value: half * math.atanh(max(-0.999, min(0.999, value / half)))


def describe(name: str, pairs: list[Pair]) -> tuple[float, float]:
    slope, intercept = statistics.linear_regression([a for a, _ in pairs], [v for _, v in pairs])
    rest = [v - intercept - slope * a for a, v in pairs]
    print(f"{name}: slope {slope:.2f}, intercept {intercept:.2f}, standard deviation around {statistics.stdev(rest):.2f}")
    return slope, intercept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--half", type=float, default=3.0, help="rewards lie in -half...half")
    options = parser.parse_args()
    scale = stretched(options.half)
    known = list(steps(options.trace, options.alpha))
    pairs = [(values[0], value) for _, values, _ in known for value in values[1:]]
    if len(pairs) < 3:
        parser.error(f"{options.trace} holds no searches in full; trace with --without prune")
    print(f"{len(known)} steps of {len({prompt for prompt, *_ in known})} prompts")
    plain = statistics.stdev(v - a for a, v in pairs)
    print(f"differences from the anchor: mean {statistics.fmean(v - a for a, v in pairs):.2f}, standard deviation {plain:.2f}")
    raw = describe("as they are", pairs)
    wide = describe("stretched", [(scale(a), scale(v)) for a, v in pairs])
    for low, high in [(-9, 0), (0, 1), (1, 1.5), (1.5, 2), (2, 2.5), (2.5, 9)]:
        part = [(a, v) for a, v in pairs if low <= a < high]
        if len(part) < 3:
            continue
        spread = statistics.stdev(v - raw[1] - raw[0] * a for a, v in part)
        other = statistics.stdev(scale(v) - wide[1] - wide[0] * scale(a) for a, v in part)
        print(f"  anchor {low} to {high}: {spread:.2f} as they are, {other:.2f} stretched ({len(part)} candidates)")
    moves = [
        scale(values[0]) - scale(chosen)
        for (before, _, chosen), (prompt, values, _) in zip(known, known[1:])
        if prompt == before
    ]
    if moves:
        print(f"anchor after the last choice, stretched: standard deviation {statistics.pstdev(moves):.2f}")


if __name__ == "__main__":
    main()
