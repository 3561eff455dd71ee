"""Mutated HTTP requests against a running server, clients that go away at random moments, and full load:

    attack.py requests ADDRESS MODEL PID COUNT
    attack.py disconnects ADDRESS MODEL PID COUNT
    attack.py soak ADDRESS MODEL PID SECONDS

Afterwards the server must answer as before, with no answer left, no more open files, and little more memory.
"""
import json
import os
import random
import re
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request

kind, address, model, pid, count = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
place = urllib.parse.urlsplit(address)
target = (place.hostname, place.port)
clients = 50 if kind == "disconnects" else 16
generator = random.Random(21)


def files():
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident():
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


def health():
    with urllib.request.urlopen(address + "/health", timeout=30) as reply:
        return json.load(reply)


def body(length=8, stream=False, **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "How do I make tea?"}], "max_tokens": length,
                       "seed": 1, "stream": stream, "transferq": {"k": 3, "horizon": 3}} | more).encode()


def request(content, path="/v1/chat/completions", method="POST", headers=()):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {place.netloc}", "Content-Type: application/json",
             f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def answer_once():
    with urllib.request.urlopen(urllib.request.Request(
            address + "/v1/chat/completions", body(), {"Content-Type": "application/json"}), timeout=120) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


def chunked(content, pick):
    pieces, at = [], 0
    while at < len(content):
        size = pick.randint(1, 40)
        piece = content[at:at + size]
        length = b"%x" % len(piece) if pick.random() < 0.95 else pick.choice([b"-1", b"zz", b"ffffffffffffffffff", b""])
        pieces.append(length + b"\r\n" + piece + b"\r\n")
        at += size
    end = b"0\r\n\r\n" if pick.random() < 0.8 else b""
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode() + b"".join(pieces) + end


def mutated(pick):
    """Bytes to send, and whether to close the sending side behind them."""
    small = body(pick.randint(1, 3))
    whole = request(small)
    choice = pick.randrange(12)
    if choice == 0:  # bytes flipped anywhere
        data = bytearray(whole)
        for _ in range(pick.randint(1, 12)):
            data[pick.randrange(len(data))] = pick.randrange(256)
        return bytes(data), False
    if choice == 1:  # cut
        return whole[:pick.randrange(len(whole))], pick.random() < 0.5
    if choice == 2:  # a length that is not so
        wrong = pick.choice([b"0", b"1", b"-5", b"99999999999999999999", b"abc", b"5, 6", b"2147483648"])
        return re.sub(rb"Content-Length: \d+", b"Content-Length: " + wrong, whole), True
    if choice == 3:
        return chunked(small, pick), pick.random() < 0.5
    if choice == 4:  # one behind the other
        return b"".join(request(body(1)) for _ in range(pick.randint(2, 5))), False
    if choice == 5:
        return whole, True
    if choice == 6:  # headers without end
        return request(small, headers=[f"X-{n}: " + "a" * pick.choice([10, 5000, 40000]) for n in range(pick.randint(1, 150))]), False
    if choice == 7:  # no UTF-8, no JSON
        content = bytes(pick.randrange(256) for _ in range(pick.randint(1, 300)))
        return request(content), False
    if choice == 8:  # values of all kinds
        value = pick.choice(["null", "1e999", "-0", '"\\ud800"', "[" * 40 + "]" * 40, "[" * 4000, "{}", "true", '"' + "x" * 3000 + '"',
                             "123456789012345678901234567890", "0.1", '["a", 1]', '{"a": {"b": []}}'])
        field = pick.choice(["messages", "model", "n", "seed", "stop", "max_tokens", "temperature", "top_p", "stream", "transferq",
                             "logprobs", "top_logprobs", "tools", "response_format", "stream_options"])
        text = small[:-1] + f', "{field}": {value}}}'.encode()
        return request(text), False
    if choice == 9:  # other paths and methods
        path = pick.choice(["/", "/v1", "//", "/../../etc/passwd", "/playground/../../etc/passwd", "/v1/models/%00%ff", "/%", "*",
                            "/playground/" + "a" * 3000, "/metrics?x=" + "y" * 200, "http://other/v1/models", "/v1/models/..%2f"])
        return request(small, path, pick.choice(["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PATCH", "BREW"])), False
    if choice == 10:
        return bytes(pick.randrange(256) for _ in range(pick.randint(1, 600))), True
    version = pick.choice([b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"HTTX/1.1", b""])
    return whole.replace(b"HTTP/1.1", version), False


statuses = {}
lock = threading.Lock()


def send_mutated(number):
    pick = random.Random(number)
    data, ends = mutated(pick)
    with socket.create_connection(target, timeout=30) as connection:
        connection.settimeout(3)
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            reply = connection.recv(4096)
        except (OSError, socket.timeout):
            reply = b""
    status = reply[9:12].decode(errors="replace") if reply.startswith(b"HTTP/1.1 ") else "none"
    with lock:
        statuses[status] = statuses.get(status, 0) + 1


def go_away(number):
    """Goes in the queue, while the prompt is read, or in the middle of rollouts; in one of three ways."""
    pick = random.Random(number)
    connection = socket.create_connection(target, timeout=60)
    try:
        connection.sendall(request(body(200, stream=pick.random() < 0.7)))
        if pick.random() < 0.5:
            time.sleep(pick.expovariate(30))
        else:
            connection.settimeout(pick.uniform(0.01, 1))
            for _ in range(pick.randint(1, 6)):
                connection.recv(pick.randint(1, 4000))
        if pick.random() < 0.2:  # RST
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        elif pick.random() < 0.2:
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.02)
    except (OSError, socket.timeout):
        pass
    finally:
        connection.close()


def run(numbers, work):
    numbers = iter(numbers)

    def worker():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            work(number)

    threads = [threading.Thread(target=worker) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def settle():
    """Waits until no answer is left; gives the seconds that it took."""
    start = time.time()
    while time.time() - start < 60:
        state = health()
        if state["running"] == state["waiting"] == 0:
            return time.time() - start
        time.sleep(0.02)
    sys.exit(f"attack.py: answers are left behind: {health()}")


def soak(seconds):
    """Clients that ask again and again, some of which go away; the memory over the second half must be flat."""
    end, samples, numbers = time.time() + seconds, [], iter(range(1 << 40))

    def ask():
        while time.time() < end:
            with lock:
                number = next(numbers)
            if number % 7 == 0:
                go_away(number)
                continue
            pick = random.Random(number)
            with socket.create_connection(target, timeout=120) as connection:
                connection.sendall(request(body(pick.randint(4, 60), stream=pick.random() < 0.5, seed=number),
                                           headers=["Connection: close"]))
                while connection.recv(65536):
                    pass

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while time.time() < end:
        time.sleep(min(5, seconds / 20))
        samples.append(resident())
    for thread in threads:
        thread.join()
    second, last = (sorted(samples[part * len(samples) // 4:(part + 1) * len(samples) // 4]) for part in (1, 3))
    second, last = second[len(second) // 2], last[len(last) // 2]
    print(f"soak: {next(numbers)} requests in {seconds} s; memory {second:.0f} MB in the second quarter, {last:.0f} MB in the last, "
          f"{settle():.2f} s to the end of all answers", flush=True)
    if last > 1.1 * second + 10:
        sys.exit(f"attack.py: memory grows: {[round(sample) for sample in samples]}")


if kind == "soak":
    soak(count)
    sys.exit()
work = send_mutated if kind == "requests" else go_away
expected = answer_once()
run(range(count // 10), work)  # what is allocated once
settle()
time.sleep(0.5)
before = files(), resident()
start = time.time()
run(range(count // 10, count + count // 10), work)
seconds = time.time() - start
settled = settle()
time.sleep(1)
after = files(), resident()
seen = answer_once()
print(f"{kind}: {count} in {seconds:.0f} s, over {settled:.2f} s later; files {before[0]} to {after[0]}, memory {before[1]:.0f} to "
      f"{after[1]:.0f} MB; {dict(sorted(statuses.items()))}", flush=True)
if seen != expected:
    sys.exit(f"attack.py: the server answers otherwise than before: {seen!r}, not {expected!r}")
if after[0] > before[0]:
    sys.exit(f"attack.py: {after[0]} files are open, {before[0]} before")
if after[1] > before[1] + 60:
    sys.exit(f"attack.py: memory has grown from {before[1]:.0f} to {after[1]:.0f} MB")
if any(status.startswith("5") for status in statuses):
    sys.exit(f"attack.py: the server failed: {statuses}")
