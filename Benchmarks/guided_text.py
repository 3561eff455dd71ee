#!/usr/bin/env python3
"""What settings of guidance do to the text: reward, perplexity under the reference, repetition.

    python3 Benchmarks/guided_text.py --prompts harm.jsonl everyday.jsonl --folder runs \
        --common "--model smollm2-135m-instruct@bf16 --reward head:Rewards/harmless.json@bf16 --max-tokens 48" \
        --settings greedy "sample" "transfer-q --alpha 1" "transfer-q --alpha 0.5 --tilt baseline"

A setting is a method and its options. Every one answers every file of prompts with `transferq generate --batch`, whose
answers and traces stay in the folder, so that a run that was cut goes on. For each file one Markdown table is printed:

- reward: mean over prompts, with Student's 95 % interval;
- perplexity: exp of the mean of -log pi_sft over all tokens of the answers, which traces hold;
- diversity: the product over n = 2, 3, 4 of distinct n-grams / (n-grams + 1) within an answer's words, mean over answers;
- tokens of rollouts per token of the answers.
"""
import argparse
import json
import math
import os
import re
import shlex
import subprocess

T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201,
       12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 24: 2.064, 29: 2.045,
       39: 2.023}


def interval(values):
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    degrees = max(d for d in T95 if d <= len(values) - 1)
    half = T95[degrees] * spread / math.sqrt(len(values))
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def diversity(text):
    words = text.split()
    product = 1.0
    for n in (2, 3, 4):
        grams = [tuple(words[i:i + n]) for i in range(len(words) - n + 1)]
        product *= len(set(grams)) / (len(grams) + 1)
    return product


def answers(program, prompts, setting, common, folder):
    name = re.sub(r"[^a-z0-9.]+", "-", f"{os.path.basename(prompts)} {setting}".lower()).strip("-")
    output, trace = (os.path.join(folder, f"{name}.{kind}") for kind in ("jsonl", "trace"))
    command = [program, "generate", "--batch", prompts, "--output", output, "--trace", trace, "--method"]
    subprocess.run(command + shlex.split(setting) + shlex.split(common), check=True, stdout=subprocess.DEVNULL)
    with open(output) as lines:
        rows = [json.loads(line) for line in lines]
    logs = []
    with open(trace) as lines:
        for line in lines:
            logs += [c["logProbability"] for c in json.loads(line)["candidates"] if c["isChosen"]]
    return rows, logs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=".build/release/transferq")
    parser.add_argument("--prompts", nargs="+", required=True, help="files of prompts, as generate --batch reads them")
    parser.add_argument("--settings", nargs="+", required=True, help="a method and its options each")
    parser.add_argument("--common", default="", help="options of all settings")
    parser.add_argument("--folder", required=True, help="where answers and traces go")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    for prompts in options.prompts:
        print(f"\n{os.path.basename(prompts)}\n\n| setting | reward (95 %) | perplexity | diversity | rollout tokens/token |"
              "\n|---|---|---|---|---|", flush=True)
        for setting in options.settings:
            rows, logs = answers(options.program, prompts, setting, options.common, options.folder)
            finite = [value for value in logs if value > -math.inf]
            tokens = sum(row["usage"]["completionTokens"] for row in rows)
            print(f"| `{setting}` | {interval([row['reward'] for row in rows])} "
                  f"| {math.exp(-sum(finite) / max(1, len(finite))):.2f} "
                  f"| {sum(diversity(row['response']) for row in rows) / len(rows):.2f} "
                  f"| {sum(row['usage']['rolloutTokens'] for row in rows) / tokens:.0f} |", flush=True)


if __name__ == "__main__":
    main()
