"""Tiny language models computed from their definitions, in plain Python: a reference for the tests.

Reads {"kind": "llama" | "bert", "tokens": [[…]], "weights": {name: numbers}, "width", "hidden", "shape": {"layers",
"heads", "keyValueHeads"}, "head": [...]} and prints for each text the head on the last token's final state (llama), the
logits behind the last token (llama without a head), or the classifier's outputs (bert).
"""
import json
import math
import sys


def main():
    task = json.load(sys.stdin)
    score = {"llama": llama, "bert": bert}[task["kind"]]
    print(json.dumps([score(task, tokens) for tokens in task["tokens"]]))


def matrix(task, name, rows):
    values = task["weights"][name]
    columns = len(values) // rows
    return [values[row * columns : (row + 1) * columns] for row in range(rows)]


def apply(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector)) for row in matrix]


def add(*vectors):
    return [sum(values) for values in zip(*vectors)]


def softmax(values):
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def attention(queries, keys, values, heads, causal):
    size = len(queries[0]) // heads
    sharing = heads * size // len(keys[0])
    result = []
    for position, query in enumerate(queries):
        seen = range(position + 1) if causal else range(len(keys))
        out = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            other = slice(head // sharing * size, (head // sharing + 1) * size)
            weights = softmax([sum(a * b for a, b in zip(query[part], keys[i][other])) / math.sqrt(size) for i in seen])
            out += [sum(w * values[i][other][j] for w, i in zip(weights, seen)) for j in range(size)]
        result.append(out)
    return result


def rms(vector, epsilon=1e-5):
    scale = 1 / math.sqrt(sum(value * value for value in vector) / len(vector) + epsilon)
    return [value * scale for value in vector]


def rotated(vector, position, heads):
    """RoPE on neighbouring pairs, base 10000."""
    size = len(vector) // heads
    result = list(vector)
    for head in range(heads):
        for pair in range(size // 2):
            angle = position * 10000 ** (-2 * pair / size)
            i = head * size + 2 * pair
            a, b = vector[i], vector[i + 1]
            result[i] = a * math.cos(angle) - b * math.sin(angle)
            result[i + 1] = a * math.sin(angle) + b * math.cos(angle)
    return result


def llama(task, tokens):
    width, hidden, shape = task["width"], task["hidden"], task["shape"]
    heads, shared = shape["heads"], shape["keyValueHeads"]
    vocabulary = len(task["weights"]["token_embd.weight"]) // width
    embedding = matrix(task, "token_embd.weight", vocabulary)
    states = [embedding[token] for token in tokens]
    for layer in range(shape["layers"]):
        block = f"blk.{layer}"
        narrow = width // heads * shared
        query, output = (matrix(task, f"{block}.attn_{name}.weight", width) for name in ("q", "output"))
        key, value = (matrix(task, f"{block}.attn_{name}.weight", narrow) for name in ("k", "v"))
        gate, up = (matrix(task, f"{block}.ffn_{name}.weight", hidden) for name in ("gate", "up"))
        down = matrix(task, f"{block}.ffn_down.weight", width)
        inputs = [rms(state) for state in states]
        queries = [rotated(apply(query, state), i, heads) for i, state in enumerate(inputs)]
        keys = [rotated(apply(key, state), i, shared) for i, state in enumerate(inputs)]
        seen = attention(queries, keys, [apply(value, state) for state in inputs], heads, causal=True)
        states = [add(state, apply(output, out)) for state, out in zip(states, seen)]
        for i, state in enumerate(states):
            inner = rms(state)
            gated = [g / (1 + math.exp(-g)) * u for g, u in zip(apply(gate, inner), apply(up, inner))]
            states[i] = add(state, apply(down, gated))
    final = rms(states[-1])
    if not task["head"]:
        return apply(matrix(task, "output.weight", vocabulary), final)
    return sum(a * b for a, b in zip(task["head"], final))


def normed(task, name, vector, epsilon=1e-12):
    mean = sum(vector) / len(vector)
    variance = sum((value - mean) ** 2 for value in vector) / len(vector)
    weights, biases = task["weights"][f"{name}.weight"], task["weights"][f"{name}.bias"]
    return [(v - mean) / math.sqrt(variance + epsilon) * w + b for v, w, b in zip(vector, weights, biases)]


def linear(task, name, vector, rows):
    return add(apply(matrix(task, f"{name}.weight", rows), vector), task["weights"][f"{name}.bias"])


def gelu(value):
    return 0.5 * value * (1 + math.erf(value / math.sqrt(2)))


def bert(task, tokens):
    width, hidden = task["width"], task["hidden"]
    vocabulary = len(task["weights"]["token_embd.weight"]) // width
    embedding = matrix(task, "token_embd.weight", vocabulary)
    positions = matrix(task, "position_embd.weight", len(task["weights"]["position_embd.weight"]) // width)
    kind = task["weights"]["token_types.weight"][:width]
    states = [normed(task, "token_embd_norm", add(embedding[t], kind, positions[i])) for i, t in enumerate(tokens)]
    queries, keys, values = (
        [linear(task, f"blk.0.attn_{name}", state, width) for state in states] for name in ("q", "k", "v")
    )
    seen = attention(queries, keys, values, task["shape"]["heads"], causal=False)
    state = normed(task, "blk.0.attn_output_norm", add(states[0], linear(task, "blk.0.attn_output", seen[0], width)))
    inner = [gelu(value) for value in linear(task, "blk.0.ffn_up", state, hidden)]
    state = normed(task, "blk.0.layer_output_norm", add(state, linear(task, "blk.0.ffn_down", inner, width)))
    pooled = [math.tanh(value) for value in linear(task, "cls", state, width)]
    return linear(task, "cls.output", pooled, len(task["weights"]["cls.output.bias"]))


main()
