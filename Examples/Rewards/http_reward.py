"""A reward on a server: answers a POST of completions with their rewards.

    python3 Examples/Rewards/http_reward.py 8000 &
    transferq generate "How do I make tea?" --reward http://localhost:8000/reward --alpha 0.1

The reward is that of command_reward.py: polite words, minus shouting.
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POLITE = ("please", "thank", "welcome", "sorry", "gladly")


def reward(conversation, response, is_finished):
    words = response.lower().split()
    polite = sum(word.startswith(POLITE) for word in words)
    shouting = sum(letter.isupper() for letter in response) / max(1, len(response))
    return polite - shouting


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        batch = json.loads(body)["completions"]
        rewards = [reward(item["conversation"], item["response"], item["isFinished"]) for item in batch]
        answer = json.dumps({"rewards": rewards}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Handler)
print(server.server_port, flush=True)
server.serve_forever()
