"""The decoding loop of Transfer Q* (NeurIPS 2024, direct transfer) in Hugging Face transformers, as a yardstick.

It talks JSON lines: one line on standard input, one answer on standard output; messages go to standard error.

The first line sets up, and is answered with {"ready": true, "torch": …, "transformers": …}:

    {"model": GGUF, "head_model": GGUF, "dtype": "bfloat16" | "float32", "threads": 2, "head": {…}}

"head" is what a head file (transferq-head-1) holds, with "standardize": true for rewards in calibrated spreads.
Every other line is a job and is answered with what was decoded, step by step:

    {"reference": [prompt], "baseline": [prompt], "reward": [prompt], "response": [], "k": 10, "horizon": 20,
     "alpha": 0.2, "tilt": "baseline" | "reference", "tokens": 4, "ends": [tokens that end an answer]}
    {"tokens": […], "seconds": […], "values": [[Q, …], …], "candidates": [[token, …], …], "reward": r}

"seconds" are those of the steps alone: what they find read is read before the clock runs. A step takes the k most
likely tokens of the tilted policy (its KV cache lasts for the job), lets the baseline roll each one out greedily with
one `generate` over whole prefixes, scores the k texts in one batch, and keeps the token with the largest
log π_tilt + Q / α. An end token that is chosen is the last of "tokens"; no text that is scored holds one.
"""

import importlib.util
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

MISSING = [name for name in ("torch", "transformers", "gguf", "accelerate") if importlib.util.find_spec(name) is None]
if MISSING:
    print(f"{', '.join(MISSING)} not found: pip install torch transformers gguf accelerate", file=sys.stderr)
    sys.exit(2)

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all files are local
os.environ.setdefault("TQDM_DISABLE", "1")
import torch  # noqa: E402
import transformers  # noqa: E402

Tokens = list[int]


def load(path: str, dtype: torch.dtype) -> transformers.PreTrainedModel:
    """The model of a GGUF file with dense weights in `dtype`, whatever the file's own format."""
    file = Path(path)
    if not file.is_file():
        sys.exit(f"{path}: there is no such file")
    # Versions that can keep weights packed must not: what is measured is torch's own arithmetic.
    packing = getattr(transformers, "GgufConfig", None)
    options = {} if packing is None else {"quantization_config": packing(dequantize=True)}
    return transformers.AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=dtype, **options
    ).eval()


class Head:
    """A linear reward on a backbone's final hidden states."""

    def __init__(self, fields: dict[str, Any], backbone: torch.nn.Module) -> None:
        self.backbone = backbone
        self.pooling: str = fields["pooling"]
        self.weights = torch.tensor(fields["weights"], dtype=torch.float64)
        self.bias: float = fields["bias"]
        self.squash: float | None = fields.get("squash")
        self.standardize: bool = fields.get("standardize", False)
        calibration: dict[str, float] | None = fields.get("calibration")
        if self.pooling not in ("last", "mean", "both"):
            sys.exit(f"a head with the pooling {self.pooling} is not supported; use last, mean or both")
        if len(self.weights) != backbone.config.hidden_size * (2 if self.pooling == "both" else 1):
            sys.exit(f"the head's {len(self.weights)} weights do not fit its model")
        if calibration is None and (self.squash is not None or self.standardize):
            sys.exit("the head has no calibration")
        self.mean, self.spread = (calibration["mean"], calibration["spread"]) if calibration else (0.0, 1.0)

    def scores(self, prompt: Tokens, answers: list[Tokens]) -> list[float]:
        """The reward of each answer, all read in one batch."""
        texts = [prompt + answer for answer in answers]
        width = max(map(len, texts))
        batch = torch.tensor([text + [0] * (width - len(text)) for text in texts])
        mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts])
        states = self.backbone(input_ids=batch, attention_mask=mask, use_cache=False).last_hidden_state
        return [self.score(row[: len(text)], len(prompt)) for row, text in zip(states, texts)]

    def score(self, states: torch.Tensor, start: int) -> float:
        """Of a text whose answer begins at `start`; the prompt's last state stands for an empty answer."""
        answer = states[min(start, len(states) - 1) :].double()
        parts = {"last": [answer[-1]], "mean": [answer.mean(0)], "both": [answer[-1], answer.mean(0)]}
        raw = self.bias + float(self.weights @ torch.cat(parts[self.pooling]))
        if self.squash is not None:
            reach = self.squash * self.spread
            raw = self.mean + reach * math.tanh((raw - self.mean) / reach)
        return (raw - self.mean) / self.spread if self.standardize else raw


def cut(tokens: Tokens, ends: Tokens) -> Tokens:
    """What comes before the first end token."""
    return next((tokens[:place] for place, token in enumerate(tokens) if token in ends), tokens)


def roll_out(model: Any, prefixes: list[Tokens], horizon: int, ends: Tokens) -> list[Tokens]:
    """The greedy continuations of prefixes of one length, in one batch."""
    if not prefixes or horizon < 1:
        return [[] for _ in prefixes]
    batch = torch.tensor(prefixes)
    limits = {"max_new_tokens": horizon, "eos_token_id": ends, "pad_token_id": ends[0]}
    whole = model.generate(batch, attention_mask=torch.ones_like(batch), do_sample=False, use_cache=True, **limits)
    return [cut(row, ends) for row in whole[:, batch.shape[1] :].tolist()]


def values(model: Any, head: Head, job: dict[str, Any], response: Tokens, candidates: Tokens) -> list[float]:
    """Q of each candidate: the reward of the text that the baseline's greedy rollout leads to."""
    ends: Tokens = job["ends"]
    live = [token for token in candidates if token not in ends]
    prefixes = [job["baseline"] + response + [token] for token in live]
    rollouts = dict(zip(live, roll_out(model, prefixes, job["horizon"], ends)))
    answers = [response + [token] + rollouts[token] if token in rollouts else response for token in candidates]
    return head.scores(job["reward"], answers)


def decode(model: Any, head: Head, job: dict[str, Any]) -> dict[str, Any]:
    """Does one job."""
    prompt: Tokens = job[job["tilt"]]
    response: Tokens = list(job["response"])
    cache = transformers.DynamicCache()
    answer: dict[str, Any] = {"tokens": [], "seconds": [], "values": [], "candidates": []}
    # What earlier steps would have read is not on the first one's bill.
    if known := (prompt + response)[:-1]:
        model(input_ids=torch.tensor([known]), past_key_values=cache, use_cache=True, logits_to_keep=1)
    while len(answer["tokens"]) < job["tokens"]:
        begin = time.perf_counter()
        unread = torch.tensor([(prompt + response)[cache.get_seq_length() :]])
        logits = model(input_ids=unread, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]
        top = torch.log_softmax(logits.float(), -1).topk(job["k"])
        candidates: Tokens = top.indices.tolist()
        estimates = values(model, head, job, response, candidates)
        scores = [tilt + value / job["alpha"] for tilt, value in zip(top.values.tolist(), estimates)]
        token = candidates[scores.index(max(scores))]
        for key, value in zip(answer, (token, time.perf_counter() - begin, estimates, candidates)):
            answer[key].append(value)
        if token in job["ends"]:
            break
        response.append(token)
    return answer | {"reward": head.scores(job["reward"], [response])[0]}


def set_up(fields: dict[str, Any]) -> tuple[transformers.PreTrainedModel, Head]:
    """The policy, and the head on a model of the same precision."""
    torch.set_num_threads(fields["threads"])
    dtype = {"bfloat16": torch.bfloat16, "float32": torch.float32}[fields["dtype"]]
    model = load(fields["model"], dtype)
    reader = model if fields["head_model"] == fields["model"] else load(fields["head_model"], dtype)
    return model, Head(fields["head"], reader.model)


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # nothing but answers may get into the answers
    lines = filter(str.strip, sys.stdin)
    model, head = set_up(json.loads(next(lines, "null")) or sys.exit("there is no set-up on standard input"))
    ready = {"ready": True, "torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps(ready), file=out, flush=True)
    for line in lines:
        with torch.inference_mode():
            answer = decode(model, head, json.loads(line))
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
