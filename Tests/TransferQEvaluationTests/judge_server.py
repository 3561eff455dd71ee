"""A judge for tests, behind OpenAI's interface: how it judges is told by the model's name. Every question is logged."""
import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log = open(sys.argv[1], "a", buffering=1)
seen = {}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        log.write(json.dumps({"path": self.path, "key": self.headers.get("Authorization"), **body}) + "\n")
        model = body["model"]
        seen[model] = seen.get(model, 0) + 1
        prompt = body["messages"][-1]["content"]
        first, second = re.findall(r"\[Answer of assistant \d\]\n(.*?)\n\[End of the answer", prompt, re.S)
        status, content = 200, "?"
        if model == "letters":
            content = f"{1 + min(9, first.count('a'))} {1 + min(9, second.count('a'))}\nBy their letters."
        elif model == "first":
            content = "9 3\nThe first is better."
        elif model == "equal":
            content = "7 7"
        elif model == "silent":
            content = "I would rather not say."
        elif model == "shaky" and seen[model] % 2 == 1:
            status = 503
        elif model == "shaky":
            content = "5 6"
        elif model == "locked" and self.headers.get("Authorization") != "Bearer secret":
            status = 401
        elif model == "locked":
            content = "6 5"
        elif model == "breaking" and seen[model] > 3:
            status = 400
        elif model == "breaking":
            content = "4 5"
        answer = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args):
        pass


def end_with_the_tests():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_the_tests, daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
