#!/usr/bin/env python3
"""Splits preference pairs into three parts that share no conversation: baseline, guide and gold.

    Experiments/split.py train.jsonl.gz --evaluation eval.jsonl.gz --output parts

The part is decided by a hash of the first human turn, so that conversations with the same beginning stay together.
Pairs whose first human turn begins an evaluation conversation as well are left out. Every part is split again: a tenth
of its conversations goes to PART-held-out.jsonl, for choosing settings, the rest to PART.jsonl.
"""
import argparse
import gzip
import hashlib
import json
import os

PARTS = ("baseline", "guide", "gold")
HELD_OUT_OF = 10


def lines(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        yield from file


def first_turn(line):
    return json.loads(line)["chosen"].split("\n\nHuman: ", 1)[1].split("\n\nAssistant:", 1)[0].strip()


def part_of(turn):
    """The name of the part, and whether its held-out tenth is meant."""
    number = int.from_bytes(hashlib.sha256(turn.encode()).digest()[:8], "big")
    return PARTS[number % len(PARTS)], number // len(PARTS) % HELD_OUT_OF == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", help="hh-rlhf's pairs, JSON lines, gzipped or not")
    parser.add_argument("--evaluation", required=True, help="the pairs whose conversations nothing may be fitted on")
    parser.add_argument("--output", required=True, help="folder for the parts")
    options = parser.parse_args()

    evaluated = {first_turn(line) for line in lines(options.evaluation)}
    parts = {}
    left_out = 0
    for line in lines(options.pairs):
        turn = first_turn(line)
        if turn in evaluated:
            left_out += 1
            continue
        part, held_out = part_of(turn)
        parts.setdefault(part + ("-held-out" if held_out else ""), []).append(line)
    os.makedirs(options.output, exist_ok=True)
    for name, rows in sorted(parts.items()):
        with open(os.path.join(options.output, name + ".jsonl"), "w", encoding="utf-8") as file:
            file.writelines(rows)
        print(f"{name}: {len(rows)} pairs, {len({first_turn(row) for row in rows})} first turns")
    print(f"left out, as their first turn begins an evaluation conversation: {left_out} pairs")


if __name__ == "__main__":
    main()
