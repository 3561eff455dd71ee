"""A reward as a program: reads one JSON line a batch, writes one line of rewards.

    transferq generate "How do I make tea?" --reward "command:python3 Examples/Rewards/command_reward.py" --alpha 0.1

Here: polite words, minus shouting. Put a model of your own in its place; it is loaded once.
"""
import json
import sys

POLITE = ("please", "thank", "welcome", "sorry", "gladly")


def reward(conversation, response, is_finished):
    words = response.lower().split()
    polite = sum(word.startswith(POLITE) for word in words)
    shouting = sum(letter.isupper() for letter in response) / max(1, len(response))
    return polite - shouting


for line in sys.stdin:
    batch = json.loads(line)["completions"]
    rewards = [reward(item["conversation"], item["response"], item["isFinished"]) for item in batch]
    print(json.dumps({"rewards": rewards}), flush=True)
