// One answer: its tokens, the lines below them, what it cost, and what another α would have chosen.

import { Charts } from "./chart.js";
import { count, el, figure, percent, short, word } from "./dom.js";
import { TokenView } from "./tokens.js";
import { areDrawn, isGuided } from "./trace.js";
import { hasAlpha, verdict } from "./whatif.js";

/// Why an answer ended, where it is not the model that ended it.
const ENDS = {
    length: "cut at the longest length", budget: "its budget is spent", cancelled: "stopped", failed: "failed",
};
/// Changes that are listed beside the slider.
const MOST_CHANGES = 12;

export class AnswerView {
    /// - title: what the answer is, "Guided".
    /// - detail: how it was made, in soft letters beside the title.
    /// - onOpen: called with this view and the index of a token to show.
    /// - isOpen: whether this view's tokens are being looked at.
    /// - across: tokens that the answer may have.
    /// - partNames: names of the reward's parts.
    /// - hasReward: whether its steps have values.
    constructor({ title, detail, onOpen, isOpen, across = 0, partNames = [], hasReward = true }) {
        this.steps = [];
        this.partNames = partNames;
        this.across = across;
        this.approximations = [];
        /// Another α as a factor on each step's own; null for none.
        this.factor = null;
        this.isDrawn = false;
        this.verdicts = [];
        const open = (index) => onOpen(this, index);
        this.tokens = new TokenView({
            label: `${title}: tokens, arrow keys go through them`, onOpen: open, isOpen: () => isOpen(this),
        });
        this.charts = new Charts(hasReward, (index) => onOpen(this, index));
        this.notices = el("div", { class: "notices" });
        this.failure = el("div", { class: "failure", role: "alert", hidden: true });
        this.waiting = el("p", { class: "waiting soft", text: "Waiting for the first token …", hidden: true });
        this.cost = el("p", { class: "cost soft" });
        this.rewards = el("p", { class: "rewards" });
        this.whatIf = el("div", { class: "what-if", hidden: true });
        this.element = el("article", { class: "answer", "aria-label": title },
            el("header", {}, el("h3", { text: title }), el("span", { class: "detail soft", text: detail })),
            this.notices, this.waiting, this.tokens.element, this.failure,
            el("div", { class: "figures" }, this.charts.element, this.rewards, this.cost), this.whatIf);
    }

    /// The text of an answer that did not fail.
    get text() {
        if (!this.failure.hidden) return "";
        return this.steps.map((step) => step.text).join("");
    }

    partName(index) {
        return this.partNames[index] ?? `part ${index + 1}`;
    }

    // While it arrives

    begin() {
        this.started = performance.now();
        this.element.classList.add("running");
        this.waiting.hidden = false;
        this.tell();
        this.timer = setInterval(() => this.tell(), 250);
    }

    notice(text) {
        this.notices.append(el("p", { class: "note", text }));
    }

    add(step) {
        this.waiting.hidden = true;
        this.steps.push(step);
        this.tokens.add(step);
        this.charts.update(this.steps, this.across);
        this.tell();
    }

    tell() {
        const seconds = (performance.now() - this.started) / 1000;
        this.cost.textContent = `${count(this.steps.length, "token")} · ${figure(seconds, 1)} s`;
    }

    // When it is there

    /// - figures: what the server says of the whole answer; absent for a trace.
    end(reason, figures = {}) {
        this.settle();
        this.approximations = figures.approximations ?? [];
        this.charts.update(this.steps, 0, figures.reward ?? null);
        this.showReward(figures);
        this.showCost(figures, ENDS[figures.finish ?? reason]);
        this.offerAlpha();
    }

    /// - retry: called when a person wants to try again.
    fail(message, retry) {
        this.settle();
        this.failure.hidden = false;
        this.failure.replaceChildren(el("p", { text: message }),
            ...(retry ? [el("button", { type: "button", class: "quiet", text: "Try again", click: retry })] : []));
        if (this.steps.length) this.end("failed");
    }

    stop() {
        this.end("cancelled");
        if (!this.steps.length) this.notice("Stopped before the first token.");
    }

    settle() {
        clearInterval(this.timer);
        this.element.classList.remove("running");
        this.waiting.hidden = true;
        this.element.classList.toggle("nothing", this.steps.length === 0);
        this.isDrawn = areDrawn(this.steps);
    }

    showReward(figures) {
        if (!Number.isFinite(figures.reward)) return;
        const named = Object.entries(figures.rewardParts ?? {});
        const parts = named.length > 1 ? named.map(([name, part]) => `${figure(part)} ${name}`) : [];
        this.rewards.replaceChildren("Reward ", el("strong", { text: figure(figures.reward) }),
            parts.length ? ` = ${parts.join(" + ").replaceAll("+ −", "− ")}` : "");
    }

    showCost(figures, ending) {
        const parts = [count(this.steps.length, "token") + (ending ? `, ${ending}` : "")];
        const add = (value, word) => { if (Number.isFinite(value) && value > 0) parts.push(count(value, word)); };
        add(figures.rolloutTokens, "rollout token");
        add(figures.scoredTokens, "scored token");
        add(figures.rewardCalls, "reward call");
        if (Number.isFinite(figures.seconds)) {
            parts.push(`${short(figures.seconds)} s`);
            if (this.steps.length) parts.push(`${short(figures.seconds / this.steps.length)} s a token`);
        } else if (this.started) {
            parts.push(`${figure((performance.now() - this.started) / 1000, 1)} s`);
        }
        if (!this.started) {
            const rollouts = this.steps.flatMap((step) => step.candidates).flatMap((candidate) => candidate.rollouts);
            if (rollouts.length) parts.push(`${count(rollouts.length, "rollout")} recorded`);
        }
        if (this.approximations.length) parts.push(`approximate: ${this.approximations.join(", ")}`);
        this.cost.textContent = parts.join(" · ");
    }

    // Another α

    /// The α of a step as the slider has it; null where it is as recorded, or no question.
    alphaAt(index) {
        const step = this.steps[index];
        return this.factor === null || !hasAlpha(step) ? null : step.alpha * this.factor;
    }

    /// What the slider's α makes of a step; null where it is as recorded, or no question.
    verdictOf(index) {
        return this.alphaAt(index) === null ? null : this.verdicts[index];
    }

    offerAlpha() {
        const tiltedSteps = this.steps.filter(hasAlpha);
        if (!tiltedSteps.length) {
            if (this.steps.some(isGuided) && this.steps.every((step) => step.alpha === null)) {
                const text = "This trace does not say its α, so no other can be tried. Record it again with this version.";
                this.whatIf.replaceChildren(el("p", { class: "note", text }));
                this.whatIf.hidden = false;
            }
            return;
        }
        const alphas = new Set(tiltedSteps.map((step) => step.alpha));
        this.sameAlpha = alphas.size === 1 ? [...alphas][0] : null;
        this.slider = el("input", {
            type: "range", min: "-4", max: "4", step: "0.05", value: "0", "aria-label": "Another alpha", class: "alpha",
            input: () => this.tryAlpha(2 ** Number(this.slider.value)),
        });
        this.alphaText = el("output", { class: "alpha-text" });
        this.reset = el("button", {
            type: "button", class: "quiet", text: "Reset", "aria-label": "Back to the recorded alpha", disabled: true,
            click: () => { this.slider.value = "0"; this.tryAlpha(1); this.slider.focus(); },
        });
        this.result = el("p", { class: "result", role: "status" });
        this.changes = el("div", { class: "changes" });
        this.whatIf.replaceChildren(
            el("div", { class: "alpha-row" }, el("span", { class: "what", text: "What if α were" }), this.alphaText, this.reset),
            this.slider,
            this.result, this.changes);
        this.whatIf.hidden = false;
        this.tryAlpha(1);
    }

    tryAlpha(factor) {
        this.factor = factor === 1 ? null : factor;
        const own = this.sameAlpha;
        const text = own === null ? `× ${short(factor)}` : short(own * factor);
        this.alphaText.textContent = text;
        this.slider.setAttribute("aria-valuetext", own === null ? `${short(factor)} times each step's alpha` : `alpha ${text}`);
        this.reset.disabled = this.factor === null;
        const options = { isDrawn: this.isDrawn, isExact: this.approximations.length === 0 };
        this.verdicts = this.factor === null ? [] : this.steps.map((step) => verdict(step, step.alpha * factor, options));
        this.tokens.mark(this.verdicts);
        this.element.classList.toggle("asking", this.factor !== null);
        this.tellResult();
        this.changed?.();
    }

    tellResult() {
        const of = (kind) => this.verdicts.filter((one) => one.kind === kind).length;
        const [changed, uncertain] = [of("changed"), of("uncertain")];
        if (this.factor === null) {
            this.result.textContent = "Drag to see which choices another α would have changed, from the recorded values.";
        } else {
            const parts = [`${changed} of ${count(this.steps.length, "choice")} would change (struck through)`];
            if (this.isDrawn) parts.push(`${uncertain} might (dotted: a chance below one half, or values that were left out)`);
            else if (uncertain) parts.push(`${uncertain} uncertain (dotted), for want of values that were left out`);
            this.result.textContent = parts.join(", ") + ".";
        }
        const places = this.verdicts.flatMap((one, index) => (one.kind === "changed" ? [index] : []));
        const notes = [];
        if (places.length > MOST_CHANGES) notes.push(`and ${places.length - MOST_CHANGES} more`);
        if (places.length) notes.push("Each step by itself: after the first change the text would go on another way.");
        this.changes.replaceChildren(...places.slice(0, MOST_CHANGES).map((index) => this.change(index)),
            ...notes.map((text) => el("span", { class: "note", text })));
    }

    change(index) {
        const [step, one] = [this.steps[index], this.verdicts[index]];
        const next = one.choice ?? one.atLeast;
        const then = one.chance === undefined
            ? word(step.candidates[next].text) + (one.choice === null ? " or another" : "") : percent(one.chance);
        return el("button", {
            type: "button", class: "change", "aria-label": `Step ${index + 1}: ${word(step.text)} becomes ${then}`,
            click: () => this.tokens.onOpen(index),
        }, el("span", { class: "was", text: word(step.text) }), " → ", el("span", { text: then }));
    }

    /// Shows which token is being looked at.
    select(index, options) {
        this.tokens.select(index, options);
        this.charts.select(index);
    }
}
