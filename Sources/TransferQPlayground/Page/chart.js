// The two lines below an answer: the expected reward, and the nats spent so far.

import { el, figure, short, svg } from "./dom.js";
import { expectedReward } from "./trace.js";

/// What the sum of nats is, in a word.
const NATS = { pointMass: "Nats, point mass", boundOverSkippedValues: "Nats, at most", boundOfMethod: "Nats, at most" };
const [WIDTH, HEIGHT, EDGE] = [600, 40, 4];

/// One line: values by step, gaps where nothing is known.
class Line {
    constructor(title, onPick) {
        this.now = el("span", { class: "now", text: "–" });
        this.solid = svg("path", { class: "solid", "vector-effect": "non-scaling-stroke" });
        this.dashed = svg("path", { class: "dashed", "vector-effect": "non-scaling-stroke" });
        this.dots = svg("path", { class: "dots", "vector-effect": "non-scaling-stroke" });
        this.cursor = svg("path", { class: "cursor", "vector-effect": "non-scaling-stroke" });
        this.title = title;
        this.label = el("span", { class: "soft", text: title });
        this.picture = svg("svg", {
            viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title,
            click: (event) => {
                const box = this.picture.getBoundingClientRect();
                onPick(((event.clientX - box.left) / box.width) * WIDTH);
            },
        }, this.cursor, this.dashed, this.solid, this.dots);
        this.element = el("div", { class: "line" },
            el("div", { class: "line-head" }, this.label, this.now), this.picture);
    }

    /// - across: steps that the width stands for.
    draw(values, across, last) {
        const known = values.flatMap((value, index) => (Number.isFinite(value) ? [[index, value]] : []));
        if (Number.isFinite(last)) known.push([values.length, last]);
        if (!known.length) return;
        const heights = known.map(([, value]) => value);
        const [low, high] = [Math.min(...heights), Math.max(...heights)];
        const place = ([index, value]) => {
            const y = high > low ? (high - value) / (high - low) : 0.5;
            return [this.x(index, across), EDGE + y * (HEIGHT - 2 * EDGE)].map((one) => one.toFixed(1)).join(" ");
        };
        let [solid, dashed] = ["", ""];
        known.slice(1).forEach((point, index) => {
            const part = `M${place(known[index])}L${place(point)}`;
            if (point[0] - known[index][0] > 1) dashed += part;
            else solid += part;
        });
        this.solid.setAttribute("d", solid);
        this.dashed.setAttribute("d", dashed);
        // A single point, and the end.
        this.dots.setAttribute("d", `M${place(known.at(-1))}h0`);
        const text = short(known.at(-1)[1]);
        this.now.textContent = text;
        const first = known[0];
        this.picture.setAttribute("aria-label", `${this.title}: ${figure(first[1])} at step ${first[0] + 1}, ${text} at the end; `
            + `from ${figure(low)} to ${figure(high)}`);
    }

    name(title) {
        this.title = title;
        this.label.textContent = title;
    }

    x(index, across) {
        return EDGE + (index / Math.max(1, across - 1)) * (WIDTH - 2 * EDGE);
    }

    point(index, across) {
        const x = index === null ? null : this.x(index, across).toFixed(1);
        this.cursor.setAttribute("d", x === null ? "" : `M${x} 0V${HEIGHT}`);
    }
}

export class Charts {
    /// - hasReward: whether there are values, without which there is no line of them.
    /// - onPick: called with the index of a step.
    constructor(hasReward, onPick) {
        this.across = 1;
        this.count = 0;
        const pick = (x) => {
            const index = Math.round(((x - EDGE) / (WIDTH - 2 * EDGE)) * (this.across - 1));
            if (this.count) onPick(Math.min(Math.max(index, 0), this.count - 1));
        };
        this.reward = new Line("Expected reward", pick);
        this.nats = new Line("Nats spent", pick);
        this.element = el("div", { class: "lines" }, hasReward ? this.reward.element : null, this.nats.element);
    }

    /// - across: steps that the width stands for, so that what is drawn stays in its place while more comes.
    /// - reward: of the whole answer, once it is there.
    update(steps, across, reward = null) {
        this.across = Math.max(across, steps.length + (Number.isFinite(reward) ? 1 : 0), 2);
        this.count = steps.length;
        this.reward.draw(steps.map(expectedReward), this.across, reward);
        this.nats.draw(steps.map((step) => step.cumulativeKL), this.across, null);
        this.nats.name(NATS[steps.at(-1)?.cumulativeKLKind] ?? "Nats spent");
    }

    select(index) {
        for (const line of [this.reward, this.nats]) line.point(index, this.across);
    }
}
