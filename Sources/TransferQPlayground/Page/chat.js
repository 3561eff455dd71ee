// A conversation: what was asked, and its answers as they arrive.

import { AnswerView } from "./answer.js";
import { el } from "./dom.js";
import { ServerError, answerStream } from "./sse.js";

const PLAIN = ["greedy", "sample"];
/// Pixels below a growing text: the lines of its figures, and what to ask next.
const ROOM = 240;
const ROLES = { system: "System", user: "You", assistant: "Answer" };

/// What a person or a system prompt said.
export function message(role, content) {
    return el("div", { class: `message ${role === "system" ? "system" : "user"}` },
        el("span", { class: "hidden", text: `${ROLES[role] ?? role}:` }), el("p", { dir: "auto", text: content }));
}

export class Chat {
    /// - views: calls of the page: `open(view, index)`, `isOpen(view)`, `prepare(view)` for a new view,
    ///   `leave(view)` for one that goes, `announce(text)`.
    /// - onState: called with whether answers are running.
    constructor(host, controls, views, onState) {
        this.host = host;
        this.controls = controls;
        this.views = views;
        this.onState = onState;
        this.messages = [];
        this.abort = null;
        this.follows = true;
        // Whoever scrolls is left there.
        for (const name of ["wheel", "touchmove"]) addEventListener(name, () => { this.follows = false; }, { passive: true });
    }

    get isRunning() {
        return this.abort !== null;
    }

    clear() {
        this.stop();
        this.messages = [];
        this.host.replaceChildren();
    }

    stop() {
        this.abort?.abort();
    }

    async send(text) {
        const messages = [...this.messages, { role: "user", content: text }];
        const compare = this.controls.compare.checked && !PLAIN.includes(this.controls.method.value);
        const answers = el("div", { class: compare ? "answers pair" : "answers" });
        this.host.append(el("section", { class: "turn" }, message("user", text), answers));
        const asks = [this.controls.request(messages)];
        if (compare) asks.push(this.controls.request(messages, { isPlain: true }));
        this.follows = true;
        const guided = await this.run(asks.map((request, index) => ({ request, isPlain: index === 1, host: answers })));
        // What is not answered is not part of the conversation.
        if (guided?.text) this.messages = [...messages, { role: "assistant", content: guided.text }];
    }

    /// Runs some answers at the same time; returns the first one's view, as it is in the end.
    async run(works) {
        const abort = new AbortController();
        this.abort = abort;
        this.onState(true);
        this.follow();
        try {
            const views = await Promise.all(works.map((work) => this.answer(work, abort.signal)));
            return views[0];
        } finally {
            if (this.abort === abort) {
                this.abort = null;
                this.onState(false);
            }
        }
    }

    async answer(work, signal) {
        const { request, isPlain, host } = work;
        const { method, trace: _, ...parameters } = request.transferq;
        const isGuided = !PLAIN.includes(method);
        const set = Object.entries(parameters).map(([name, value]) => `${name} ${value}`);
        const view = new AnswerView({
            title: isGuided ? "Guided" : "Plain", detail: [method, ...set, `seed ${request.seed}`].join(" · "),
            onOpen: this.views.open, isOpen: this.views.isOpen, across: request.max_tokens,
            partNames: this.controls.partNames, hasReward: isGuided,
        });
        this.views.prepare(view);
        if (work.view) {
            this.views.leave(work.view);
            work.view.element.replaceWith(view.element);
        } else host.append(view.element);
        work.view = view;
        view.begin();
        let end = null;
        try {
            for await (const event of answerStream(request, { key: this.controls.key.value, signal })) {
                if (event.kind === "step") view.add(event.step);
                else if (event.kind === "notice") view.notice(event.text);
                else if (event.kind === "end") end = event;
                this.follow();
            }
            if (end === null) throw new ServerError("The server ended the answer without a reason.");
            view.end(end.reason, end.figures);
            this.views.announce(`${isPlain ? "Plain" : "Guided"} answer: ${view.text}`);
        } catch (error) {
            if (error.name === "AbortError") view.stop();
            else {
                if (error.status === 401) this.controls.askForKey();
                view.fail(error.message, () => this.again(work));
            }
        }
        this.follow();
        return view;
    }

    /// Asks again for an answer that failed.
    async again(work) {
        if (this.isRunning) return;
        const view = await this.run([work]);
        const messages = work.request.messages;
        if (!work.isPlain && view?.text && this.messages.length === messages.length - 1) {
            this.messages = [...messages, { role: "assistant", content: view.text }];
        }
    }

    /// Keeps the end of the first running answer's text in view while it grows, until somebody scrolls or opens a token.
    follow() {
        const text = this.host.querySelector(".answer.running .tokens");
        if (!this.follows || !text) return;
        const hidden = text.getBoundingClientRect().bottom + ROOM - innerHeight;
        if (hidden > 0) scrollBy({ top: hidden, behavior: "instant" });
    }
}
