// Why a token was chosen: the candidates of its step, their values and rollouts.

import { count, el, figure, percent, short, svg, visible } from "./dom.js";
import { KL_WORDS, lead } from "./trace.js";
import { tilted } from "./whatif.js";

const FINISH = { length: "cut at the horizon", stop: "ends", end: "ends" };

export class Inspector {
    /// - onMove: called with the index of the step to show next.
    /// - onClose: called when it was closed, after it is gone.
    constructor(host, { onMove, onClose }) {
        this.host = host;
        this.onMove = onMove;
        this.onClose = onClose;
        this.answer = null;
        this.index = null;
        this.body = el("div", { class: "inspector-body" });
        this.title = el("h2", { id: "inspector-title", tabindex: "-1" });
        const button = (label, text, click) => el("button", { type: "button", class: "icon", "aria-label": label, text, click });
        this.back = button("Step before", "‹", () => this.move(-1));
        this.next = button("Next step", "›", () => this.move(1));
        const head = el("div", { class: "inspector-head" },
            this.title, this.back, this.next, button("Close", "×", () => this.close()));
        this.panel = el("div", { class: "panel", hidden: true }, head, this.body);
        host.append(this.panel);
        /// The candidates that show their rollouts.
        this.opened = new Set();
    }

    get isOpen() {
        return this.answer !== null;
    }

    move(by) {
        this.onMove(Math.min(Math.max(this.index + by, 0), this.answer.steps.length - 1));
    }

    show(answer, index) {
        const step = answer.steps[index];
        if (answer !== this.answer || index !== this.index) this.opened = new Set([step.chosen]);
        this.answer = answer;
        this.index = index;
        this.panel.hidden = false;
        this.host.classList.add("open");
        document.body.classList.add("inspecting");
        this.title.replaceChildren(el("span", { class: "soft", text: `Step ${index + 1}` }), " ",
            el("span", { class: "chip", text: `“${visible(step.text)}”` }));
        this.back.disabled = index === 0;
        this.next.disabled = index === answer.steps.length - 1;
        this.body.replaceChildren(...(step.candidates.length ? this.content(step) : [
            el("p", { class: "soft", text: "The server sent this token's text and nothing else." }),
        ]));
    }

    /// Draws the step again, after more is known of its answer.
    refresh() {
        if (this.isOpen) this.show(this.answer, this.index);
    }

    close() {
        if (!this.isOpen) return;
        const { answer, index } = this;
        this.answer = null;
        this.panel.hidden = true;
        this.host.classList.remove("open");
        document.body.classList.remove("inspecting");
        this.onClose(answer, index);
    }

    content(step) {
        const verdict = this.answer.verdictOf(this.index);
        return [
            el("p", { class: "why", text: this.why(step) }),
            verdict ? el("p", { class: `verdict ${verdict.kind}`, text: this.outcome(step, verdict) }) : null,
            this.facts(step),
            this.candidates(step),
            this.leftOut(step),
        ].filter(Boolean);
    }

    why(step) {
        const [chosen, own] = [step.candidates[step.chosen], step.candidates[step.own]];
        if (!chosen) return "What was chosen is not among the candidates shown.";
        if (step.candidates.length === 1) return "Plain decoding: the other candidates are not recorded.";
        const name = (candidate) => `“${visible(candidate.text)}”`;
        if (step.klKind === "boundOfMethod") {
            return `Chosen among ${count(step.candidates.length, "continuation")} that were drawn from the policy.`;
        }
        const sentences = [];
        if (chosen === own) {
            sentences.push("The model by itself holds this token likeliest as well.");
        } else {
            sentences.push(`The model by itself holds ${name(own)} likeliest, by ${figure(lead(step))} nats.`);
            if (chosen.value !== null && own.value !== null && chosen.value > own.value) {
                sentences.push(`Its rollouts promise ${figure(chosen.value - own.value)} less reward.`);
            }
        }
        if (chosen.score < Math.max(...step.candidates.map((candidate) => candidate.score))) {
            sentences.push("This token was drawn; it is not the likeliest of the tilted policy.");
        } else if (step.alpha === Infinity) {
            sentences.push("The KL budget allowed no tilt here, so the token is the model's own draw.");
        } else if (step.alpha !== null && chosen.value === null) {
            sentences.push("No value was needed: no other candidate could have won.");
        }
        return sentences.join(" ");
    }

    outcome(step, verdict) {
        const at = `At α = ${short(this.answer.alphaAt(this.index))}`;
        if (verdict.chance !== undefined) {
            return `${at}, the same random numbers draw another token with a chance of ${percent(verdict.chance)}.`;
        }
        if (verdict.kind === "same") return `${at}, the choice is the same.`;
        if (verdict.kind === "uncertain") return `${at}, the choice is uncertain: it depends on values that were left out.`;
        const name = `“${visible(step.candidates[verdict.choice ?? verdict.atLeast].text)}”`;
        if (verdict.choice !== null) return `${at}, ${name} is chosen.`;
        return `${at}, ${name} beats it; whether that is chosen depends on values that were left out.`;
    }

    facts(step) {
        const facts = [];
        const add = (title, text, hint) => facts.push(el("div", {}, el("dt", { text: title, title: hint }), el("dd", { text })));
        if (step.kl !== null) add("KL", `${figure(step.kl)} nats`, KL_WORDS[step.klKind]);
        if (step.cumulativeKL !== null) add("so far", `${figure(step.cumulativeKL)} nats`, KL_WORDS[step.cumulativeKLKind]);
        if (step.alpha !== null) add("α", short(step.alpha), "reward per nat");
        if (step.outside !== null) add("outside", percent(step.outside), "probability of all tokens that are no candidates");
        const kind = step.kl !== null && step.klKind !== "divergence" ? KL_WORDS[step.klKind] : undefined;
        return el("div", {}, el("dl", { class: "facts" }, ...facts),
            kind ? el("p", { class: "note", text: `KL here: ${kind}.` }) : null);
    }

    candidates(step) {
        const other = this.answer.alphaAt(this.index);
        const shares = other === null ? null : tilted(step, other);
        const rows = step.candidates.flatMap((candidate, index) => this.rows(step, candidate, index, shares));
        const head = ["Candidate", "log π", "Q", "π tilted"].map((title) => el("th", { scope: "col", text: title }));
        return el("table", { class: "candidates" },
            el("caption", { class: "hidden", text: `Candidates of step ${this.index + 1}` }),
            el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
    }

    rows(step, candidate, index, shares) {
        const isOpen = this.opened.has(index);
        const isNew = shares !== null && this.answer.verdictOf(this.index)?.choice === index && index !== step.chosen;
        const name = [
            el("span", { class: "chip", text: visible(candidate.text) }),
            candidate.isChosen ? el("span", { class: "tag", text: "chosen" }) : null,
            isNew ? el("span", { class: "tag new", text: "at the new α" }) : null,
        ];
        const detail = `rollouts-${index}`;
        const cell = candidate.rollouts.length
            ? el("button", {
                type: "button", class: "expand", "aria-expanded": String(isOpen), "aria-controls": detail,
                click: (event) => this.toggle(index, event.currentTarget),
            }, ...name)
            : el("span", { class: "expand plain" }, ...name);
        const isKnown = candidate.value !== null;
        // Probabilities are those among the known values.
        const hasShare = isKnown || candidate.probability > 0 || candidate.score === -Infinity;
        const value = isKnown
            ? figure(candidate.value) : candidate.score === -Infinity ? "impossible" : "unknown";
        const row = el("tr", { class: candidate.isChosen ? "chosen" : null, "data-candidate": index },
            el("th", { scope: "row" }, cell),
            el("td", { text: figure(candidate.logProbability) }),
            el("td", { class: isKnown ? null : "unknown", text: step.alpha === null && !isKnown ? "–" : value }),
            el("td", { class: "share" }, hasShare ? shareBar(candidate.probability, shares?.[index] ?? null) : null,
                el("span", { class: "share-now", text: hasShare ? percent(candidate.probability) : "–" }),
                shares && hasShare ? el("span", { class: "share-new", text: `→ ${percent(shares[index])}` }) : null));
        if (!candidate.rollouts.length) return [row];
        const rollouts = el("tr", { id: detail, class: "rollouts", hidden: !isOpen },
            el("td", { colspan: "4" }, this.spread(candidate), ...candidate.rollouts.map((one) => this.rollout(candidate, one))));
        return [row, rollouts];
    }

    toggle(index, button) {
        const isOpen = !this.opened.delete(index);
        if (isOpen) this.opened.add(index);
        button.setAttribute("aria-expanded", String(isOpen));
        this.body.querySelector(`#rollouts-${index}`).hidden = !isOpen;
    }

    spread(candidate) {
        if (candidate.rollouts.length < 2) return null;
        const parts = [count(candidate.rollouts.length, "rollout")];
        if (candidate.rewardSpread !== null) parts.push(`rewards spread ${figure(candidate.rewardSpread)}`);
        if (candidate.effectiveSampleSize !== null) parts.push(`worth ${figure(candidate.effectiveSampleSize, 1)} samples`);
        return el("p", { class: "note", text: parts.join(", ") });
    }

    rollout(candidate, rollout) {
        const parts = rollout.parts.map((part, index) => `${figure(part)} ${this.answer.partName(index)}`);
        const facts = [
            `reward ${figure(rollout.reward)}`, parts.length ? `(${parts.join(" + ").replaceAll("+ −", "− ")})` : "",
        ].filter(Boolean).join(" ");
        const more = [`${count(rollout.length, "token")}, ${FINISH[rollout.finish] ?? rollout.finish}`];
        if (rollout.logWeight !== null) more.push(`log weight ${figure(rollout.logWeight)}`);
        return el("div", { class: "rollout" },
            el("p", { class: "rollout-text", dir: "auto" }, el("mark", { text: candidate.text }), rollout.text),
            el("p", { class: "note" }, el("strong", { text: facts }), ` · ${more.join(" · ")}`));
    }

    leftOut(step) {
        const unknown = step.candidates.filter((one) => one.value === null && one.score > -Infinity).length;
        if (step.alpha === null || !unknown || step.alpha === Infinity) return null;
        return el("p", {
            class: "note",
            text: `${count(unknown, "value")} left unknown: the search saw that ${unknown === 1 ? "it" : "they"} could not `
                + "change the choice.",
        });
    }
}

/// A probability as a bar, and a line where another α puts it.
function shareBar(share, other) {
    const within = (number) => Math.max(0, Math.min(1, number)) * 100;
    const part = (kind, x, width) => svg("rect", { class: kind, x, y: 0, width, height: 8 });
    return svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
        part("ground", 0, 100), part("fill", 0, within(share)),
        other === null ? null : part("other", Math.min(within(other), 98), 2));
}
