"""Plays recorded traces as `transferq serve` would stream them: what tests of the page talk to.

    python replay_server.py PAGE GUIDED PLAIN [PORT]

PAGE is the folder of the page's files, GUIDED and PLAIN are traces. `ReplayServer.mode` says how it behaves: normal, slow, busy
(429), error (an error event in the middle), cut (the connection ends in the middle), key (401 without the key "secret"),
refused (400), waits (nothing comes for long), stranger (data that is no JSON).
"""

import http.server
import json
import pathlib
import sys
import threading
import time

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def parameters(*names):
    standard = {"k": 10, "horizon": 16, "alpha": "1 spread of the reward", "confidence": None}
    return [{"name": name, "default": standard[name], "help": name} for name in names]


METHODS = [
    {"name": "greedy", "summary": "plain decoding: the most likely token at every step", "parameters": []},
    {"name": "sample", "summary": "plain decoding: a draw from the policy at every step", "parameters": []},
    {"name": "args", "summary": "candidates judged by the reward of the unfinished text",
     "parameters": parameters("k", "alpha", "confidence")},
    {"name": "transfer-q", "summary": "Transfer Q*, direct: candidates rolled out by the aligned baseline",
     "parameters": parameters("k", "alpha", "horizon", "confidence")},
]
MODELS = [
    {"id": "kind", "object": "model", "transferq": {
        "description": "SmolLM2 135M, pulled towards kind and careful answers.", "method": "transfer-q",
        "parameters": {"k": 10, "alpha": 1, "horizon": 16, "choice": "greedy"},
        "reward": ["z:head:Rewards/harmless.json", "length:30"], "baseline": "a system prompt", "methods": METHODS}},
    {"id": "plain", "object": "model", "transferq": {
        "description": "The model by itself.", "method": "greedy", "parameters": {}, "reward": [], "baseline": None,
        "methods": METHODS[:2]}},
]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, content, kind, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        # A connection that is kept would outlive a server that is gone.
        self.send_header("Connection", "close")
        self.close_connection = True
        self.send_header("Content-Security-Policy", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def say(self, status, message, **headers):
        error = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
        self.answer(status, json.dumps(error).encode(), "application/json", **headers)

    def is_let_in(self):
        if self.server.mode != "key" or self.headers.get("Authorization") == "Bearer secret":
            return True
        self.say(401, "no key")
        return False

    def do_GET(self):
        if self.path == "/v1/models":
            if self.is_let_in():
                self.answer(200, json.dumps({"object": "list", "data": MODELS}).encode(), "application/json")
            return
        name = "index.html" if self.path == "/" else self.path.removeprefix("/playground/")
        file = self.server.page / name
        if "/" in name or not file.is_file():
            return self.say(404, f"there is no {self.path}")
        self.answer(200, file.read_bytes(), TYPES[file.suffix])

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        mode = self.server.mode
        if not self.is_let_in():
            return
        if mode == "busy":
            return self.say(429, "the waiting line is full", Retry_After="3")
        if mode == "refused":
            return self.say(400, "k must be at most 49152, not 100000; choose another")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self.stream(request, mode)
        except (BrokenPipeError, ConnectionResetError):
            self.server.disconnects += 1

    def send(self, data):
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        content = f"data: {text}\r\n\r\n".encode()
        # Characters of several bytes are cut as networks cut them.
        middle = len(content) // 2
        for part in (content[:middle], content[middle:]):
            self.wfile.write(part)
            self.wfile.flush()

    def chunk(self, own, content=None, finish=None):
        return {"id": "answer", "object": "chat.completion.chunk", "model": "kind", "transferq": own, "choices": [
            {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}]}

    def stream(self, request, mode):
        own = request["transferq"]
        is_plain = own.get("method") in ("greedy", "sample")
        steps = self.server.plain if is_plain else self.server.guided
        steps = steps[:request["max_tokens"]]
        if mode == "waits":
            # Comments until the client has gone.
            for _ in range(200):
                self.wfile.write(b": wait\n\n")
                self.wfile.flush()
                time.sleep(0.05)
        if not is_plain:
            self.send(self.chunk({"notice": "the baseline is the same model under the reward's own system prompt"}))
        for place, step in enumerate(steps):
            if mode == "error" and place == 8:
                return self.send({"error": {"message": "the reward server stopped answering", "type": "server_error", "code": None}})
            if mode == "cut" and place == 8:
                return
            if mode == "stranger" and place == 8:
                return self.send("no JSON")
            time.sleep(0.4 if mode == "slow" else self.server.delay * (0.3 if is_plain else 1))
            if not is_plain:
                self.server.sent.append(time.time())
            self.send(self.chunk({"step": step}, step["text"]))
        figures = {"finish": "length", "kl": steps[-1]["cumulativeKL"], "seconds": 1.234, "rolloutTokens": 0,
                   "scoredTokens": 0, "rewardCalls": 1, "approximations": [], "reward": 0.47, "rewardParts": {}}
        if not is_plain:
            figures |= {"rolloutTokens": 1114, "scoredTokens": 4846, "rewardCalls": 126, "seconds": 9.6, "reward": 2.385,
                        "rewardParts": {"harmless": 2.085, "length:30": 0.3}}
        self.send(self.chunk(figures, finish="length"))
        self.send({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": len(steps), "total_tokens": 99}})
        self.send("[DONE]")


class ReplayServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, page, guided, plain, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.page = pathlib.Path(page)
        self.guided, self.plain = ([json.loads(line) for line in open(path, encoding="utf-8")] for path in (guided, plain))
        self.mode, self.delay, self.requests, self.disconnects = "normal", 0.03, [], 0
        # When the steps of guided answers were sent, seconds.
        self.sent = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def begin(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    server = ReplayServer(*sys.argv[1:4], *map(int, sys.argv[4:5]))
    print(server.url)
    server.serve_forever()
