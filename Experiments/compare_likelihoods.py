#!/usr/bin/env python3
"""Compares an adapter in torch with its GGUF file in transferq: log π_adapter(y | x) − log π(y | x) of answers.

    Experiments/compare_likelihoods.py on-policy-1.pt on-policy.gguf --model SmolLM2-135M-Instruct.F32.gguf \
        --pairs baseline-held-out.jsonl --program .build/release/transferq

Prints the greatest and the mean difference in nats. A and B are rounded to 16 bits in the GGUF file, so they are here
as well.
"""
import argparse
import json
import os
import subprocess
import tempfile

import torch

from train_dpo import adapters, dialogue, load, log_likelihoods, prompt_tokens, reference, restore


def in_torch(options, rows):
    kept = torch.load(options.adapter)
    rank = kept["tensors"][next(iter(kept["tensors"]))].shape[0]
    model, tokenizer = load(options.model, rank, kept["alpha"])
    restore(model, options.adapter)
    for module in adapters(model).values():
        for tensor in (module.a, module.b):
            tensor.data = tensor.data.half().float()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    changes = []
    for row in rows:
        prompt = prompt_tokens(tokenizer, row["prompt"])
        answer = tokenizer(row["response"], add_special_tokens=False)["input_ids"] + [end]
        with torch.no_grad():
            after = log_likelihoods(model, prompt, [answer])
        changes.append(float(after - reference(model, [(prompt, [answer])])[0]))
    return changes


def in_transferq(options, rows):
    with tempfile.TemporaryDirectory() as folder:
        data, configuration = (os.path.join(folder, name) for name in ("answers.jsonl", "implicit.json"))
        with open(data, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        with open(configuration, "w", encoding="utf-8") as file:
            json.dump({"a": {"adapter": os.path.abspath(options.gguf)}, "b": {}, "beta": 1}, file)
        command = [options.program, "reward", "score", data, "--reward", f"implicit:{configuration}"]
        run = subprocess.run(command + ["--model", options.model], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line)["reward"] for line in run.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", help="a .pt file of train_dpo.py")
    parser.add_argument("gguf", help="the same as to_gguf.py wrote it")
    parser.add_argument("--model", required=True, help="the model in 32 bits, GGUF")
    parser.add_argument("--pairs", required=True, help="hh-rlhf's pairs, whose chosen answers are read")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--program", default="transferq")
    options = parser.parse_args()

    with open(options.pairs, encoding="utf-8") as file:
        messages = [dialogue(json.loads(line)["chosen"]) for line in file][:options.limit]
    rows = [{"prompt": turns[:-1], "response": turns[-1]["content"]} for turns in messages]
    ours, theirs = in_transferq(options, rows), in_torch(options, rows)
    differences = [abs(left - right) for left, right in zip(ours, theirs)]
    print(f"{len(rows)} answers, change of log-likelihood {min(theirs):.2f} to {max(theirs):.2f} nats; transferq "
          f"and torch differ by {max(differences):.1e} nats at most, {sum(differences) / len(rows):.1e} on average")


if __name__ == "__main__":
    main()
