"""Streams an answer with the openai package, then says what it cost: client.py [ADDRESS [MODEL]]"""
import sys

import openai

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
model = sys.argv[2] if len(sys.argv) > 2 else "kind"
client = openai.OpenAI(base_url=address + "/v1", api_key="none")

stream = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "My neighbour is rude."}],
    max_tokens=24,
    seed=1,
    stream=True,
    extra_body={"transferq": {"alpha": 0.5, "k": 6}},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    figures = getattr(chunk, "transferq", None) or {}
    if "finish" in figures:
        print(f"\n\nreward {figures['reward']:.3f}, KL {figures['kl']:.2f} nats, "
              f"{figures['rolloutTokens']} tokens in rollouts, {figures['seconds']:.1f} s")
