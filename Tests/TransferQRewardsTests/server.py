"""A reward server for tests: what it answers is told by the path."""
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen = {}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body.get("input") or [text for text, in body.get("inputs", [])]
        texts = texts or [item["response"] for item in body.get("completions", [])]
        lengths = [float(len(text)) for text in texts]
        path = self.path.split("?")[0]
        seen[path] = seen.get(path, 0) + 1
        status, answer = 200, {"rewards": lengths}
        if path == "/shaky" and seen[path] % 2 == 1:
            status = 500
        elif path == "/broken":
            status = 503
        elif path == "/missing":
            status = 404
        elif path == "/late":
            time.sleep(5)
        elif path == "/garbage":
            answer = "<html>"
        elif path == "/few":
            answer = {"rewards": lengths[1:]}
        elif path == "/nan":
            answer = {"rewards": [float("nan")] * len(lengths)}
        elif path == "/array":
            answer = lengths
        elif path == "/classify":
            answer = {"data": [{"index": i, "label": "good", "probs": [1 - n, n]} for i, n in enumerate(lengths)][::-1]}
        elif path == "/pooling":
            answer = {"model": body["model"], "data": [{"index": i, "data": [n]} for i, n in enumerate(lengths)]}
        elif path == "/score":
            answer = {"data": [{"index": i, "score": n} for i, n in enumerate(lengths)]}
        elif path == "/predict":
            # Sorted by size, as such servers do; labels may be digits.
            answer = [[{"label": "1", "score": n}, {"label": "0", "score": -n}] for n in lengths]
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
