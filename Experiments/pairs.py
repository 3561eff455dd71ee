#!/usr/bin/env python3
"""Makes on-policy pairs of an evaluation's samples: by the guiding reward, the best of n answers against the worst, the
second best against the second worst, and so on.

    transferq evaluate run Experiments/samples.yaml --answers-only      # best-of-n with traces
    Experiments/pairs.py samples.run --output on-policy

Writes OUTPUT.jsonl and OUTPUT-held-out.jsonl for train_dpo.py: {"messages", "pairs", "gaps"}, a pair being
[chosen, rejected] in tokens, with the end token where an answer ended. A tenth of the prompts is held out, by a hash.
Pairs whose rewards are closer than --gap are left out.
"""
import argparse
import glob
import hashlib
import json
import os


def samples_of(folder):
    """(messages, samples from worst to best) of every trace of best-of-n in the run folder, by prompt."""
    found = []
    for path in glob.glob(os.path.join(folder, "traces", "*.jsonl")):
        with open(path, encoding="utf-8") as file:
            step = json.loads(file.readline())
        samples = [candidate["rollouts"][0] for candidate in step["candidates"]]
        samples.sort(key=lambda sample: sample["reward"])
        found.append((step["prompt"], step["conversation"], samples))
    return [(messages, samples) for _, messages, samples in sorted(found, key=lambda row: row[0])]


def is_held_out(messages):
    text = json.dumps([message["content"] for message in messages])
    return hashlib.sha256(text.encode()).digest()[0] % 10 == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="run folders of best-of-n with traces")
    parser.add_argument("--output", required=True, help="beginning of the names of the two files that are written")
    parser.add_argument("--pairs", type=int, default=2, help="most pairs of a prompt")
    parser.add_argument("--gap", type=float, default=0.5, help="least difference of the two rewards")
    options = parser.parse_args()

    rows = {False: [], True: []}
    close = 0
    for folder in options.folders:
        for messages, samples in samples_of(folder):
            pairs, gaps = [], []
            for worst, best in zip(samples[:options.pairs], samples[:-options.pairs - 1:-1]):
                gap = best["reward"] - worst["reward"]
                if gap < options.gap or not best["tokens"] or not worst["tokens"]:
                    close += 1
                    continue
                pairs.append([best["tokens"], worst["tokens"]])
                gaps.append(gap)
            if pairs:
                rows[is_held_out(messages)].append({"messages": messages, "pairs": pairs, "gaps": gaps})
    for held_out, name in ((False, ".jsonl"), (True, "-held-out.jsonl")):
        with open(options.output + name, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows[held_out])
        gaps = [gap for row in rows[held_out] for gap in row["gaps"]]
        print(f"{options.output}{name}: {len(rows[held_out])} prompts, {len(gaps)} pairs, "
              f"mean gap {sum(gaps) / max(1, len(gaps)):.2f}")
    print(f"left out, with a gap below {options.gap}: {close}")


if __name__ == "__main__":
    main()
