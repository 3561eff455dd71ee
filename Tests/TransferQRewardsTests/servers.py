"""Reward servers for tests, as strict as those that they stand for: the first part of the path says which."""
import json
import math
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    """A status and what is said with it."""


def logit(text):
    return sum(text.encode()) % 97 / 10 - 4


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def missing(name):
    return Refused(400, {"error": {"message": f"[{{'type': 'missing', 'loc': ('body', '{name}'), 'msg': 'Field required'}}]"}})


def is_raw(body, version):
    """How versions of vLLM read their fields."""
    if version == "walrus":
        if "softmax" in body or "activation" in body:
            return False
        return body.get("use_activation") is False
    field = {"vllm": "use_activation", "old": "activation", "older": "softmax", "oldest": None}[version]
    return body.get(field) is False


def activated(x, body, version):
    if is_raw(body, version):
        return x
    # A softmax of one.
    return 1.0 if version in ("older", "oldest") else sigmoid(x)


def rendered(messages):
    return "".join(f"<{m['role']}>{m['content']}</s>" for m in messages)


def vllm(version, path, body, query):
    if "model=" in query and body.get("model") != query.split("model=")[1]:
        raise Refused(404, {"error": {"message": "The model does not exist."}})
    if path in ("classify", "pooling"):
        if "messages" in body and version in ("vllm", "walrus"):
            texts = [rendered(body["messages"])]
        elif "input" in body:
            texts = body["input"]
        else:
            raise missing("input")
        if any(len(text) > 2000 for text in texts):
            raise Refused(400, {"error": {"message": "This model's maximum context length is 2000 tokens."}})
        if path == "pooling" and body.get("task") != "classify":
            raise Refused(400, {"error": {"message": "this task is not supported"}})
        values = [activated(logit(text), body, version) for text in texts]
        key = "probs" if path == "classify" else "data"
        data = [{"index": i, key: [x], "label": "LABEL_0"} for i, x in enumerate(values)]
        return {"object": "list", "data": data[::-1]}
    if path == "score":
        if len(body["text_1"]) not in (1, len(body["text_2"])):
            raise Refused(400, {"error": {"message": "Input lengths must be either 1:1, 1:N or N:N"}})
        pairs = zip(body["text_1"], body["text_2"])
        values = [activated(logit(q + "|" + a), body, version) for q, a in pairs]
        return {"data": [{"index": i, "object": "score", "score": x} for i, x in enumerate(values)]}
    if path == "rerank":
        if "documents" not in body:
            raise missing("documents")
        values = [activated(logit(body["query"] + "|" + a), body, version) for a in body["documents"]]
        results = [{"index": i, "relevance_score": x, "document": {}} for i, x in enumerate(values)]
        return {"results": sorted(results, key=lambda r: -r["relevance_score"])}
    raise Refused(404, {"detail": "Not Found"})


def tei(path, body):
    maybe = (lambda x: x) if body.get("raw_scores") is True else sigmoid
    texts = body["inputs"] if path == "predict" else body["texts"]
    if len(texts) > 32:
        raise Refused(422, {"error": f"batch size {len(texts)} > maximum allowed batch size 32"})
    if path == "predict":
        return [[{"score": maybe(logit(text)), "label": "LABEL_0"}] for text, in texts]
    ranks = [{"index": i, "score": maybe(logit(body["query"] + "|" + a))} for i, a in enumerate(texts)]
    return sorted(ranks, key=lambda r: -r["score"])


def odd(path, texts):
    """Replies that are wrong in one way each."""
    count = len(texts)
    return {
        "constant": [0.25] * count,
        "twice": {"data": [{"index": 0, "score": float(i)} for i in range(count)]},
        "from1": {"data": [{"index": i + 1, "score": float(i)} for i in range(count)]},
        "some": {"data": [{"index": 0, "score": 1.0}] + [{"score": 1.0}] * (count - 1)},
        "error200": {"object": "error", "message": "model not found", "code": 404},
        "detail": {"detail": "Not Found"},
        "bool": [True] * count,
        "strings": ["0.5"] * count,
        "number": 0.7,
        "tokens": {"data": [{"index": i, "data": [[0.1], [0.2], [0.3]]} for i in range(count)]},
        "labels": [[{"label": "good", "score": 0.9}, {"label": "bad", "score": 0.1}]] * count,
        "infinite": [float("inf")] * count,
    }[path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    overloaded = 0

    def do_GET(self):
        self.answer(405, b"{}")

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        first, *rest = path.strip("/").split("/")
        if first.isdigit():
            return self.answer(int(first), b"", {"Location": "/" + "/".join(rest)})
        if first == "away":
            # To another origin: the same port by another name.
            return self.answer(307, b"", {"Location": f"http://localhost:{server.server_port}/" + "/".join(rest)})
        if first == "loop":
            return self.answer(308, b"", {"Location": self.path})
        if first == "nowhere":
            return self.answer(307, b"", {"Location": "ftp://example.org/"})
        if first == "endless":
            return self.endless()
        if first == "busy":
            Handler.overloaded += 1
            if Handler.overloaded % 2 == 1:
                return self.answer(429, b'{"error": "Model is overloaded"}', {"Retry-After": "0"})
        try:
            body = json.loads(raw)
            texts = [item["response"] for item in body.get("completions", [])]
            if first in ("vllm", "walrus", "old", "older", "oldest"):
                reply = vllm(first, rest[0], body, query)
            elif first == "tei":
                reply = tei(rest[0], body)
            elif first == "odd":
                reply = odd(rest[0], texts)
            elif first == "auth":
                # 1 with an authorization, 0 without.
                reply = [float(self.headers.get("Authorization") == "Basic bmFtZTpzZWNyZXQ=")] * len(texts)
            else:
                reply = [logit(text) for text in texts]
        except Refused as refused:
            return self.answer(refused.args[0], json.dumps(refused.args[1]).encode())
        except (ValueError, KeyError) as error:
            return self.answer(422, json.dumps({"error": f"bad request: {error!r}"}).encode())
        self.answer(200, json.dumps(reply).encode())

    def endless(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            # Well over the limit, and no faster than it is read: what lies in the client's queue when it has had enough
            # holds up its other requests.
            for _ in range(200):
                self.wfile.write(b"1, " * 50000)
                time.sleep(0.003)
        except OSError:
            pass

    def answer(self, status, payload, headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
