"""Real clients against a running server, unchanged, streaming and not:

    clients.py ADDRESS MODEL PLAIN

ADDRESS is that of the server (http://127.0.0.1:8080), MODEL the name of a preset with a reward, PLAIN of one without a
baseline, which completions take. Each check fails loudly.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

address, model, plain = sys.argv[1:4]
base = address + "/v1"
question = [{"role": "user", "content": "How do I make tea?"}]
guidance = {"method": "transfer-q", "k": 3, "horizon": 4}


def check(holds, what, seen=None):
    if not holds:
        sys.exit(f"clients.py: {what}: {seen!r}")


def with_openai():
    import openai

    client = openai.OpenAI(base_url=base, api_key="none", max_retries=0)
    names = [item.id for item in client.models.list()]
    check(model in names, "models.list() lacks the model", names)
    check(client.models.retrieve(model).id == model, "models.retrieve()")
    whole = client.chat.completions.create(
        model=model, messages=question, max_tokens=8, seed=1, logprobs=True, top_logprobs=2, extra_body={"transferq": guidance})
    text = whole.choices[0].message.content
    check(text and whole.choices[0].finish_reason in ("stop", "length"), "no answer", whole)
    check(whole.transferq["reward"] is not None, "no reward", whole.transferq)
    check(whole.usage.completion_tokens_details.model_extra["rollout_tokens"] > 0, "no hidden work", whole.usage)
    entries = whole.choices[0].logprobs.content
    check(len(entries) == whole.usage.completion_tokens and all(e.logprob <= 0 for e in entries), "log-probabilities", entries)
    check(all(len(e.top_logprobs) <= 2 for e in entries), "top_logprobs", entries)

    pieces, usage, steps = [], None, 0
    for chunk in client.chat.completions.create(
            model=model, messages=question, max_tokens=8, seed=1, stream=True, stream_options={"include_usage": True},
            extra_body={"transferq": guidance | {"trace": True}}):
        usage = chunk.usage or usage
        steps += "step" in (chunk.model_extra.get("transferq") or {})
        pieces += [choice.delta.content or "" for choice in chunk.choices]
    check("".join(pieces) == text, "the stream differs from the whole", ("".join(pieces), text))
    check(usage.completion_tokens == whole.usage.completion_tokens, "usage of the stream", usage)
    check(steps > 0, "no steps in the stream")

    several = client.chat.completions.create(model=model, messages=question, max_tokens=4, seed=5, n=3, temperature=1)
    check([c.index for c in several.choices] == [0, 1, 2], "n=3", several)
    done = client.completions.create(
        model=plain, prompt=["Tea is", "Rain is"], max_tokens=4, logprobs=2, seed=1)
    check([c.index for c in done.choices] == [0, 1], "completions", done)
    offsets = done.choices[0].logprobs.text_offset
    check(offsets == sorted(offsets) and len(offsets) == len(done.choices[0].logprobs.tokens), "text_offset", offsets)
    streamed = [c.choices[0].text for c in client.completions.create(
        model=plain, prompt="Tea is", max_tokens=4, seed=1, stream=True)]
    check("".join(streamed) == done.choices[0].text, "streamed completion", streamed)

    for field, value in [("tools", [{"type": "function", "function": {"name": "f"}}]), ("max_tokens", 0), ("top_p", 7.0),
                         ("response_format", {"type": "json_object"}), ("n", 1000)]:
        try:
            client.chat.completions.create(model=model, messages=question, **{field: value},
                                           extra_body={"transferq": {"method": "sample"}})
            check(False, f"{field} was let pass")
        except openai.BadRequestError as error:
            check(error.body["message"] and error.status_code == 400, field, error)
    try:
        client.chat.completions.create(model="nobody", messages=question)
        check(False, "an unknown model was let pass")
    except openai.NotFoundError as error:
        check(error.code == "model_not_found", "unknown model", error.code)


def with_langchain():
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(base_url=base, api_key="none", model=model, max_tokens=8, seed=1, temperature=0.5)
    whole = chat.invoke("How do I make tea?")
    pieces = list(chat.stream("How do I make tea?"))
    check("".join(piece.content for piece in pieces) == whole.content != "", "langchain", (whole, pieces))


def with_litellm():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    settings = dict(model="openai/" + model, api_base=base, api_key="none", messages=question, max_tokens=8, seed=1)
    whole = litellm.completion(**settings).choices[0].message.content
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**settings, stream=True) if chunk.choices]
    check("".join(pieces) == whole != "", "litellm", (whole, pieces))


def with_llm():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "extra-openai-models.yaml").write_text(
            f"- model_id: here\n  model_name: {model}\n  api_base: {base}\n")
        answers = [
            subprocess.run(
                [sys.executable, "-m", "llm", "prompt", "-m", "here", "-o", "max_tokens", "8", "-o", "seed", "1", "--no-log",
                 "--key", "none", *more,
                 "How do I make tea?"], env=os.environ | {"LLM_USER_PATH": folder}, check=True, capture_output=True, text=True).stdout
            for more in ([], ["--no-stream"])]
        check(answers[0].strip() == answers[1].strip() != "", "llm", answers)


def with_curl():
    def curl(*arguments):
        return subprocess.run(["curl", "-sS", *arguments], check=True, capture_output=True, text=True, errors="replace").stdout

    body = {"model": model, "messages": question, "max_tokens": 6, "seed": 1, "stream": True}
    lines = [line for line in curl(
        "-N", base + "/chat/completions", "-H", "Content-Type: application/json", "-d", json.dumps(body)).split("\n") if line]
    check(all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]", "curl", lines[-2:])
    figures = json.loads(lines[-2][6:])["transferq"]
    check({"reward", "rewardParts", "kl", "finish", "seconds", "rolloutTokens", "scoredTokens", "rewardCalls",
           "approximations"} <= set(figures), "figures", figures)
    check(json.loads(curl(address + "/health/ready"))["status"] == "ready", "ready")
    check("transferq_answer_tokens_total" in curl(address + "/metrics"), "metrics")
    count = json.loads(curl(base + "/tokenize", "--json", json.dumps({"model": model, "messages": question})))["count"]
    check(count > 3, "tokenize", count)
    scores = json.loads(curl(base + "/rewards", "--json", json.dumps(
        {"model": model, "prompt": "Tea?", "responses": ["a b c", "a"]})))["data"]
    check([score["index"] for score in scores] == [0, 1], "rewards", scores)


checks = [with_openai, with_langchain, with_litellm, with_llm, with_curl]
for run in checks:
    run()
    print(f"{run.__name__[5:]}: answered, streaming and not", flush=True)
