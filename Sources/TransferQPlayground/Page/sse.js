// The server's API: its list of models, and answers as streams of server-sent events.

import { bareStep, readStep } from "./trace.js";

/// What the server or the way to it says, as a sentence.
export class ServerError extends Error {
    constructor(message, { status = 0, retryAfter = null } = {}) {
        super(message);
        this.status = status;
        /// Seconds, where the server asks to wait.
        this.retryAfter = retryAfter;
    }
}

const GONE = "The server does not answer. See that transferq serve still runs, then try again.";

async function refusal(response) {
    let message = "";
    try {
        message = (await response.json())?.error?.message ?? "";
    } catch {
        // A body that is no JSON says nothing more than the status.
    }
    const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
    const retryAfter = Number.isFinite(wait) ? wait : null;
    if (response.status === 429) {
        const when = retryAfter === null ? "in a moment" : `in ${Math.ceil(retryAfter)}\u00a0s`;
        message = `The server is busy: its waiting line is full. Try again ${when}.`;
    } else if (response.status === 401) {
        message = "The server wants an API key. Put it into the settings.";
    }
    return new ServerError(message || `The server answered with status ${response.status}.`, {
        status: response.status, retryAfter,
    });
}

/// Asks the server; throws ``ServerError``, or an AbortError.
async function ask(path, key, options) {
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
        response = await fetch(path, { ...options, headers });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ServerError(GONE);
    }
    if (!response.ok) throw await refusal(response);
    return response;
}

/// The models that the server offers, as `GET /v1/models` lists them.
export async function models(key) {
    const response = await ask("v1/models", key, {});
    try {
        return (await response.json()).data.map((model) => ({ id: String(model.id), ...model.transferq }));
    } catch {
        throw new ServerError("The server's list of models cannot be read. Is this a server of transferq serve?");
    }
}

/// The data of each server-sent event of a body.
export async function* eventsOf(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let data = [];
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            rest += value;
            // A carriage return at the end may be half of a line's end.
            const lines = rest.split(/\r\n|\n|\r(?!$)/);
            rest = lines.pop();
            for (const line of lines) {
                if (line === "" && data.length) {
                    yield data.join("\n");
                    data = [];
                } else if (line.startsWith("data:")) {
                    data.push(line.slice(line[5] === " " ? 6 : 5));
                }
            }
        }
    } finally {
        // Lets the connection go when whoever reads has enough.
        reader.cancel().catch(() => {});
    }
}

/// Asks for an answer, and yields what comes of it:
/// `{ kind: "step", step }`, `{ kind: "notice", text }`, `{ kind: "end", reason, figures }`, `{ kind: "usage", usage }`.
///
/// Throws ``ServerError`` for a refusal, an error in the middle, and a stream that ends too early; an AbortError when the
/// signal says so.
export async function* answerStream(request, { key, signal }) {
    const response = await ask("v1/chat/completions", key, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request), signal,
    });
    let place = 0;
    const cut = () => new ServerError("The connection ended before the answer did. What came is kept.");
    try {
        for await (const data of eventsOf(response.body)) {
            if (data === "[DONE]") return;
            const chunk = JSON.parse(data);
            if (chunk.error) throw new ServerError(String(chunk.error.message ?? "The answer failed on the server."));
            const own = chunk.transferq ?? {};
            const choice = chunk.choices?.[0] ?? {};
            if (own.notice) yield { kind: "notice", text: String(own.notice) };
            if (own.step) yield { kind: "step", step: readStep(own.step) };
            else if (choice.delta?.content) yield { kind: "step", step: bareStep(choice.delta.content, place) };
            if (own.step || choice.delta?.content) place += 1;
            if (choice.finish_reason) yield { kind: "end", reason: String(choice.finish_reason), figures: own };
            if (chunk.usage) yield { kind: "usage", usage: chunk.usage };
        }
    } catch (error) {
        if (error.name === "AbortError" || error instanceof ServerError) throw error;
        if (error instanceof SyntaxError) throw new ServerError("The server sent something that is no JSON.");
        if (error instanceof TypeError) throw cut();
        throw new ServerError(`The server sent a step that cannot be read: ${error.message}.`);
    }
    throw cut();
}
