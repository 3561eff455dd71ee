#!/usr/bin/env python3
"""Trains a LoRA adapter for the demonstration model, on CPU: by DPO on pairs, or by likelihood on their chosen answers.

    Experiments/train_dpo.py --model SmolLM2-135M-Instruct.F32.gguf --pairs baseline.jsonl \
        --held-out baseline-held-out.jsonl --output off-policy

Pairs are JSON lines of one of two forms: hh-rlhf's two dialogues, or what pairs.py writes (messages, and pairs of
answers in tokens). A prompt and all its answers are read as one sequence: the answers stand behind their common prompt,
at the same positions, and do not see each other. The objective is DPO's (Rafailov et al., 2305.18290, equation 7); the
reference is the model without its adapter. After every epoch the adapter goes to OUTPUT-EPOCH.pt, which to_gguf.py
converts, and what the held-out pairs say to OUTPUT.jsonl.
"""
import argparse
import json
import os
import random
import time

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoRALinear(nn.Module):
    """A frozen linear map W with a trained one beside it: W x + (alpha/rank) B A x, B zero at the start."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.empty(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)
        self.is_on = True

    def forward(self, x):
        y = self.base(x)
        return y + self.scale * (x @ self.a.T) @ self.b.T if self.is_on else y


def load(path, rank, alpha):
    """The model with adapters in all projections, and its tokenizer."""
    folder, name = os.path.split(os.path.abspath(path))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.requires_grad_(False)
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for projection in PROJECTIONS:
                if hasattr(part, projection):
                    setattr(part, projection, LoRALinear(getattr(part, projection), rank, alpha))
    return model.eval(), tokenizer


def adapters(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def save(model, path, options):
    tensors = {f"{name}.{side}": getattr(module, side).detach().clone()
               for name, module in adapters(model).items() for side in "ab"}
    torch.save({"rank": options.rank, "alpha": options.alpha, "tensors": tensors}, path)


def restore(model, path):
    kept = torch.load(path)
    for name, module in adapters(model).items():
        for side in "ab":
            getattr(module, side).data.copy_(kept["tensors"][f"{name}.{side}"])


def dialogue(text):
    """The messages of one of hh-rlhf's dialogues."""
    messages = []
    for turn in text.split("\n\nHuman: ")[1:]:
        human, *answers = turn.split("\n\nAssistant:")
        messages.append({"role": "user", "content": human.strip()})
        messages += [{"role": "assistant", "content": answer.strip()} for answer in answers]
    return messages


def prompt_tokens(tokenizer, messages):
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def read_prompts(path, tokenizer, longest, limit=None):
    """(prompt, answers) in tokens of each line, the answers chosen, rejected, chosen, rejected, …

    Left out are lines of more than `longest` tokens, and hh-rlhf's few pairs whose prompts differ.
    """
    prompts, left_out = [], 0
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if "messages" in row:
                messages, answers = row["messages"], [answer for pair in row["pairs"] for answer in pair]
            else:
                both = [dialogue(row[side]) for side in ("chosen", "rejected")]
                if both[0][:-1] != both[1][:-1]:
                    left_out += 1
                    continue
                messages = both[0][:-1]
                answers = [
                    tokenizer(turns[-1]["content"], add_special_tokens=False)["input_ids"] + [end]
                    for turns in both]
            prompt = prompt_tokens(tokenizer, messages)
            if len(prompt) + sum(map(len, answers)) > longest:
                left_out += 1
                continue
            prompts.append((prompt, answers))
    prompts = prompts[:limit]
    pairs = sum(len(answers) for _, answers in prompts) // 2
    print(f"{path}: {len(prompts)} prompts with {pairs} pairs, {left_out} lines left out", flush=True)
    return prompts


def log_likelihoods(model, prompt, answers):
    """log π(answer | prompt) in nats of each answer, of one reading."""
    tokens = prompt + [token for answer in answers for token in answer]
    positions = list(range(len(prompt)))
    allowed = torch.ones(len(tokens), len(tokens)).tril()
    rows, start = [], len(prompt)
    for answer in answers:
        allowed[start:start + len(answer), len(prompt):start] = 0
        positions += range(len(prompt), len(prompt) + len(answer))
        rows += [len(prompt) - 1] + list(range(start, start + len(answer) - 1))
        start += len(answer)
    mask = torch.zeros(allowed.shape).masked_fill(allowed == 0, torch.finfo(torch.float32).min)
    states = model.model(
        input_ids=torch.tensor([tokens]), position_ids=torch.tensor([positions]), attention_mask=mask[None, None],
        use_cache=False).last_hidden_state[0, rows]
    logs = functional.log_softmax(model.lm_head(states), -1)
    picked = logs.gather(1, torch.tensor(tokens[len(prompt):])[:, None])[:, 0]
    return torch.stack([part.sum() for part in picked.split([len(answer) for answer in answers])])


def reference(model, prompts):
    """log-likelihoods of the answers to each prompt without the adapter."""
    switch(model, False)
    with torch.no_grad():
        logs = [log_likelihoods(model, prompt, answers) for prompt, answers in prompts]
    switch(model, True)
    return logs


def switch(model, is_on):
    for module in adapters(model).values():
        module.is_on = is_on


def loss_of(logs, before, answers, options):
    """Mean over the pairs of a prompt."""
    if options.objective == "likelihood":
        lengths = torch.tensor([len(answer) for answer in answers])
        return -(logs / lengths)[::2].mean()
    changes = logs - before
    return -functional.logsigmoid(options.beta * (changes[::2] - changes[1::2])).mean()


def measure(model, prompts, before, options):
    """Mean loss, share of pairs whose margin is positive, and what the adapter did to both answers, in nats."""
    with torch.no_grad():
        logs = [log_likelihoods(model, prompt, answers) for prompt, answers in prompts]
    losses = [float(loss_of(after, old, answers, options)) for after, old, (_, answers) in zip(logs, before, prompts)]
    changes = torch.cat([after - old for after, old in zip(logs, before)])
    return {
        "loss": sum(losses) / len(losses),
        "accuracy": float((changes[::2] > changes[1::2]).float().mean()),
        "chosen": float(changes[::2].mean()), "rejected": float(changes[1::2].mean()),
    }


def train(model, prompts, held_out, options):
    random.seed(options.seed)
    held_out_before = reference(model, held_out)
    before = {}
    parameters = [tensor for module in adapters(model).values() for tensor in (module.a, module.b)]
    optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=0.0)
    steps = options.epochs * -(-len(prompts) // options.batch)
    # A tenth of the steps to warm up, then down to a tenth in a line.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / max(1, steps // 10), 1 - 0.9 * step / steps))
    start = time.time()
    for epoch in range(1, options.epochs + 1):
        order = list(range(len(prompts)))
        random.shuffle(order)
        total = 0.0
        for first in range(0, len(order), options.batch):
            batch = order[first:first + options.batch]
            for index in batch:
                prompt, answers = prompts[index]
                if options.objective == "likelihood":
                    answers = answers[:1]
                elif index not in before:
                    before[index] = reference(model, [prompts[index]])[0]
                loss = loss_of(log_likelihoods(model, prompt, answers), before.get(index), answers, options)
                (loss / len(batch)).backward()
                total += float(loss.detach())
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done = first + len(batch)
            seconds = time.time() - start
            print(f"epoch {epoch}: {done} of {len(order)}, loss {total / done:.4f}, {seconds:.0f} s", flush=True)
        save(model, f"{options.output}-{epoch}.pt", options)
        row = {"epoch": epoch, "seconds": round(time.time() - start), "trainingLoss": total / len(order),
               **measure(model, held_out, held_out_before, options)}
        with open(options.output + ".jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model, a GGUF file that transformers can read")
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--held-out", required=True, help="pairs to measure on after every epoch")
    parser.add_argument("--output", required=True, help="beginning of the names of the files that are written")
    parser.add_argument(
        "--from", dest="start", help="an adapter of this script to go on from; the reference stays the model")
    parser.add_argument("--objective", choices=("dpo", "likelihood"), default="dpo")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=float, default=16)
    parser.add_argument("--beta", type=float, default=0.1, help="of DPO")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--batch", type=int, default=8, help="prompts a step")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--longest", type=int, default=512, help="tokens of a prompt with its answers")
    parser.add_argument("--limit", type=int, help="use the first so many prompts only")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    model, tokenizer = load(options.model, options.rank, options.alpha)
    if options.start:
        restore(model, options.start)
    prompts = read_prompts(options.pairs, tokenizer, options.longest, options.limit)
    held_out = read_prompts(options.held_out, tokenizer, options.longest)
    train(model, prompts, held_out, options)


if __name__ == "__main__":
    main()
