"""What torch makes of an implicit reward: the figures that a test of `implicit:` compares with.

    python3 Benchmarks/implicit_rewards.py MODEL.gguf > Tests/TestSupport/implicit_rewards.json

Reads a GGUF model with dense weights in 32 bits, lays out one conversation twice by the model's own chat template, with a
system prompt and without, and prints log p(answer | the one) − log p(answer | the other) for twenty finished answers. An
answer ends with the token that the template closes a turn with. Needs torch, transformers and gguf (scripts/bench-python).
"""

import json
import sys

import torch
import transformers

from transformers_loop import load

SYSTEM = "You are a cheerful pirate. Answer as a pirate would."
QUESTION = "How do I make tea?"
ANSWERS = [
    "Boil water and pour it over the leaves.", "Arr, boil the water, matey!", "I do not know.", "Tea? Ahoy! Rum is better.",
    "First, boil some water. Then add a tea bag and wait for three minutes.", "Yes.", "No.", "Use a kettle.",
    "Shiver me timbers, a kettle ye need!", "Put a tea bag in a cup, pour hot water, and enjoy.", "It depends on the tea.",
    "Green tea wants cooler water than black tea.", "Milk goes in last.", "Milk goes in first.", "", "Please ask somebody else.",
    "1. Boil water.\n2. Add tea.\n3. Wait.", "What kind of tea would you like?", "Yo ho ho and a cup of tea!",
    "The answer is 42.",
]


def main() -> None:
    path = sys.argv[1]
    model = load(path, torch.float32)
    folder, _, name = path.rpartition("/")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder or ".", gguf_file=name)
    if not tokenizer.chat_template:
        sys.exit("the file has no chat template")
    user = {"role": "user", "content": QUESTION}

    def prompt(*messages: dict[str, str]) -> list[int]:
        text = tokenizer.apply_chat_template([*messages], tokenize=False, add_generation_prompt=True)
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def log_probability(before: list[int], answer: list[int]) -> float:
        with torch.inference_mode():
            logits = model(torch.tensor([before + answer])).logits[0].double()
        logs = torch.log_softmax(logits[len(before) - 1 : -1], dim=-1)
        return logs.gather(1, torch.tensor(answer)[:, None]).sum().item()

    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    prompts = prompt({"role": "system", "content": SYSTEM}, user), prompt(user)
    rewards = []
    for text in ANSWERS:
        answer = tokenizer(text, add_special_tokens=False)["input_ids"] + [end]
        left, right = (log_probability(before, answer) for before in prompts)
        rewards.append({"answer": text, "reward": left - right, "tokens": len(answer)})
    json.dump({
        "torch": torch.__version__, "transformers": transformers.__version__, "system": SYSTEM, "question": QUESTION,
        "promptTokens": [len(tokens) for tokens in prompts], "rewards": rewards,
    }, sys.stdout, indent=2)
    print()


main()
