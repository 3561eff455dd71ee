// An answer's tokens: coloured by how far guidance moved them, opened by a click or by keys.

import { el, figure, word } from "./dom.js";
import { isGuided, isMoved, lead } from "./trace.js";

/// What colours tokens: nats by which guidance moved them; null for plain decoding, which nothing moves.
export const MEASURES = {
    kl: { title: "KL of its step", of: (step) => (isGuided(step) ? step.kl : null) },
    lead: { title: "lead given up", of: (step) => (isGuided(step) ? lead(step) : null) },
};

/// How strong a colour so many nats have, between 0 and 1.
export function heat(nats) {
    return Number.isFinite(nats) && nats > 0 ? 1 - Math.exp(-nats / 1.5) : 0;
}

export class TokenView {
    /// - onOpen: called with the index of a token that a person opens.
    /// - isOpen: whether the details of this answer's tokens are open, so that they follow the keys.
    constructor({ label, onOpen, isOpen }) {
        this.onOpen = onOpen;
        this.isOpen = isOpen;
        this.steps = [];
        this.selected = null;
        /// Where keys up and down began, pixels from the left; null at other keys.
        this.column = null;
        this.measure = "kl";
        this.element = el("div", {
            class: "tokens", role: "group", "aria-label": label, dir: "auto",
            click: (event) => this.clicked(event), keydown: (event) => this.pressed(event),
        });
    }

    get tokens() {
        return this.element.children;
    }

    add(step) {
        const index = this.steps.push(step) - 1;
        const token = el("span", {
            class: "token", role: "button", tabindex: index === 0 ? "0" : "-1", "data-index": index, text: step.text,
            "aria-pressed": "false",
        });
        if (step.text === "") token.classList.add("empty");
        if (/^\s*\n/.test(step.text)) token.classList.add("newline");
        if (isMoved(step)) token.classList.add("moved");
        if (!step.candidates.length) token.classList.add("bare");
        this.element.append(token);
        this.colour(index);
    }

    colour(index) {
        const [step, token] = [this.steps[index], this.tokens[index]];
        const nats = MEASURES[this.measure].of(step);
        token.style.setProperty("--heat", heat(nats).toFixed(3));
        const parts = [`${word(step.text)}, step ${index + 1}`];
        if (nats !== null) parts.push(`${figure(nats)} nats`);
        if (isMoved(step)) parts.push("moved by guidance");
        token.setAttribute("aria-label", parts.join(", "));
    }

    setMeasure(name) {
        this.measure = name;
        this.steps.forEach((_, index) => this.colour(index));
    }

    /// Marks tokens by their verdicts under another α; an empty list takes the marks off.
    mark(verdicts) {
        [...this.tokens].forEach((token, index) => {
            const kind = verdicts[index]?.kind;
            token.classList.toggle("changed", kind === "changed");
            token.classList.toggle("uncertain", kind === "uncertain");
        });
    }

    /// Shows which token is open; null for none.
    select(index, { focus = false } = {}) {
        if (this.selected !== null) this.tokens[this.selected]?.setAttribute("aria-pressed", "false");
        this.selected = index;
        if (index === null || !this.tokens[index]) return;
        this.tokens[index].setAttribute("aria-pressed", "true");
        this.rove(index, focus);
    }

    /// Makes one token the stop of the tab key.
    rove(index, focus) {
        this.element.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
        const token = this.tokens[index];
        token.setAttribute("tabindex", "0");
        if (focus) token.focus({ preventScroll: false });
    }

    clicked(event) {
        const token = event.target.closest(".token");
        // Not where text was selected.
        if (!token || !document.getSelection().isCollapsed) return;
        this.onOpen(Number(token.dataset.index));
    }

    pressed(event) {
        const token = event.target.closest(".token");
        if (!token || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
        const index = Number(token.dataset.index);
        const last = this.steps.length - 1;
        const next = {
            ArrowRight: () => Math.min(index + 1, last),
            ArrowLeft: () => Math.max(index - 1, 0),
            ArrowDown: () => this.onNextLine(index, 1),
            ArrowUp: () => this.onNextLine(index, -1),
            Home: () => 0,
            End: () => last,
        }[event.key];
        if (!["ArrowDown", "ArrowUp"].includes(event.key)) this.column = null;
        if (next) {
            const place = next();
            this.rove(place, true);
            if (this.isOpen()) this.onOpen(place);
        } else if (event.key === "Enter" || event.key === " ") {
            this.onOpen(index);
        } else {
            return;
        }
        event.preventDefault();
    }

    /// The token on the line below (1) or above (−1) that is nearest to where the way up and down began; itself where there
    /// is no such line.
    onNextLine(index, direction) {
        const from = this.tokens[index].getClientRects()[0];
        this.column ??= from.left;
        let [best, bestLine, bestDistance] = [index, null, Infinity];
        for (let place = index + direction; this.tokens[place]; place += direction) {
            const box = this.tokens[place].getClientRects()[0];
            if (!box || (box.top - from.top) * direction < from.height / 2) continue;
            if (bestLine !== null && Math.abs(box.top - bestLine) > from.height / 2) break;
            bestLine = box.top;
            const distance = Math.abs(box.left - this.column);
            if (distance < bestDistance) [best, bestDistance] = [place, distance];
        }
        return best;
    }
}
