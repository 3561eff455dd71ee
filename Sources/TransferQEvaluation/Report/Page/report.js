"use strict";
// What people wrote and models answered is set as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const pageSize = 10;

/** An element with properties, attributes and children; texts among the children become text nodes. */
function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (key === "onclick" || key === "onkeydown" || key === "ontoggle") element[key] = value;
        else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
}

function number(value, digits = 3) {
    if (value === null || value === undefined) return "–";
    return value.toFixed(digits).replace("-", "−");
}

function signed(value, digits) { return (value > 0 ? "+" : "") + number(value, digits); }

// Tables: a button in every head sorts by its column.

function sortTables() {
    for (const table of document.querySelectorAll("table[data-sortable]")) {
        const heads = [...table.tHead.rows[0].cells];
        const rows = [...table.tBodies[0].rows];
        heads.forEach((head, column) => {
            const label = head.firstChild;
            const button = make("button", { type: "button" });
            head.replaceChild(button, label);
            button.append(label);
            button.onclick = () => {
                const isDescending = head.getAttribute("aria-sort") !== "descending" && column > 0
                    || head.getAttribute("aria-sort") === "ascending";
                for (const other of heads) other.removeAttribute("aria-sort");
                head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
                const value = (row) => {
                    const text = row.cells[column].dataset.value;
                    return column === 0 ? row.cells[0].textContent : text === undefined ? null : Number(text);
                };
                const sorted = [...rows].sort((left, right) => {
                    const [a, b] = [value(left), value(right)];
                    if (a === null || b === null) return (a === null) - (b === null);
                    const order = a < b ? -1 : a > b ? 1 : 0;
                    return isDescending ? -order : order;
                });
                table.tBodies[0].append(...sorted);
            };
        });
    }
}

// Answers side by side.

const form = document.getElementById("answer-controls");
const list = document.getElementById("answer-list");
const count = document.getElementById("answer-count");
const columns = data.columns.filter((column) => column.perAnswer);
let shown = pageSize;

/** The answers to each prompt under each seed, by method. */
const groups = (() => {
    const found = new Map();
    for (const answer of data.answers) {
        const key = answer.prompt + " " + answer.seed;
        if (!found.has(key)) found.set(key, { prompt: answer.prompt, seed: answer.seed, answers: new Map() });
        found.get(key).answers.set(answer.method, answer);
    }
    return [...found.values()];
})();
const seeds = new Set(data.answers.map((answer) => answer.seed));

function value(answer, column) { return answer ? answer.values[columns.findIndex((one) => one.name === column)] : null; }

/** The text of a group that a filter looks through. */
function haystack(group) {
    if (!group.text) {
        const turns = data.prompts[group.prompt].messages.map((turn) => turn.content);
        group.text = [...turns, ...[...group.answers.values()].map((answer) => answer.text)].join("\n").toLowerCase();
    }
    return group.text;
}

function chosen() {
    const [own, other, column] = [Number(form.own.value), Number(form.other.value), form.column.value];
    const words = form.words.value.toLowerCase().split(/\s+/).filter((word) => word);
    const fitting = groups
        .filter((group) => group.answers.has(own) || group.answers.has(other))
        .filter((group) => words.every((word) => haystack(group).includes(word)))
        .map((group) => {
            const [a, b] = [value(group.answers.get(own), column), value(group.answers.get(other), column)];
            return { ...group, difference: Number.isFinite(a) && Number.isFinite(b) ? a - b : null };
        });
    const direction = { best: -1, worst: 1 }[form.order.value];
    if (direction) {
        const better = columns.find((one) => one.name === column).better === "lower" ? -1 : 1;
        fitting.sort((left, right) => {
            if (left.difference === null || right.difference === null) {
                return (left.difference === null) - (right.difference === null);
            }
            return direction * better * (left.difference - right.difference);
        });
    }
    return { fitting, own, other, column, words };
}

/** A text with the words that were looked for marked. */
function marked(text, words) {
    const element = make("p");
    const lower = text.toLowerCase();
    // Letters whose lower case is longer would shift the places.
    if (!words.length || lower.length !== text.length) {
        element.textContent = text;
        return element;
    }
    let place = 0;
    while (place < text.length) {
        const next = words.map((word) => [lower.indexOf(word, place), word.length]).filter(([at]) => at >= 0)
            .sort((left, right) => left[0] - right[0] || right[1] - left[1])[0];
        if (!next) break;
        element.append(text.slice(place, next[0]), make("mark", {}, text.slice(next[0], next[0] + next[1])));
        place = next[0] + next[1];
    }
    element.append(text.slice(place));
    return element;
}

function answerCard(answer, method, words) {
    const card = make("div", { class: "answer", "data-method": data.methods[method].label });
    card.append(make("h4", {}, data.methods[method].label));
    if (!answer) {
        card.append(make("p", { class: "soft" }, "No answer to this prompt under this seed."));
        return card;
    }
    const text = answer.text === "" ? make("p", { class: "soft" }, "(an empty answer)") : marked(answer.text, words);
    card.append(text);
    const figures = make("dl");
    columns.forEach((column, index) => {
        const figure = answer.values[index];
        if (figure === null) return;
        figures.append(make("div", {}, make("dt", {}, column.title), make("dd", {}, number(figure, column.digits))));
    });
    figures.append(make("div", {}, make("dt", {}, "ended by"), make("dd", {}, answer.finish)));
    card.append(figures);
    const steps = data.traces[answer.key];
    if (steps) {
        const details = make("details", {}, make("summary", {}, `Trace of ${steps.length} steps`));
        details.ontoggle = () => { if (details.open && details.children.length === 1) details.append(trace(steps)); };
        card.append(details);
    }
    return card;
}

// Traces: the tokens of an answer as buttons, the candidates of the chosen one below.

function trace(steps) {
    const [tokens, about] = [make("div", { class: "tokens", role: "group", "aria-label": "Tokens" }), make("div")];
    about.setAttribute("aria-live", "polite");
    const buttons = steps.map((step, index) => {
        const best = Math.max(...step.candidates.map((one) => one.logProbability ?? -Infinity));
        const isMoved = step.candidates.some((one) => one.isChosen && (one.logProbability ?? -Infinity) < best);
        const shownText = step.text.replaceAll("\n", "⏎") || "∅";
        return make("button", {
            type: "button", class: isMoved ? "moved" : null, tabindex: index === 0 ? "0" : "-1", "aria-pressed": "false",
            title: isMoved ? "not the likeliest candidate" : null, onclick: () => choose(index),
        }, shownText);
    });
    function choose(index) {
        buttons.forEach((button, place) => {
            button.setAttribute("aria-pressed", String(place === index));
            button.tabIndex = place === index ? 0 : -1;
        });
        about.replaceChildren(stepTable(steps[index], index));
    }
    tokens.onkeydown = (event) => {
        const now = buttons.indexOf(document.activeElement);
        const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (now < 0 || next === undefined || !buttons[next]) return;
        event.preventDefault();
        choose(next);
        buttons[next].focus();
    };
    tokens.append(...buttons);
    if (steps.length) choose(0);
    const help = "Choose a token (arrow keys move) to see its candidates; underlined ones are not the likeliest.";
    return make("div", {}, make("p", { class: "soft small" }, help), tokens, about);
}

function stepTable(step, index) {
    const heads = [["candidate", "text"], ["probability", ""], ["log π", ""], ["value", ""], ["first rollout", "text"]];
    const head = make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", class: kind || null }, text)));
    const body = step.candidates.map((one) => {
        const bar = make("span", { class: "bar" }, make("i"));
        bar.firstChild.style.width = `${Math.round(100 * (one.probability ?? 0))}%`;
        return make("tr", { class: one.isChosen ? "chosen" : null },
            make("th", { scope: "row", class: "name" }, (one.isChosen ? "▸ " : "") + (one.text.replaceAll("\n", "⏎") || "∅")),
            make("td", {}, bar, " " + number(one.probability)),
            make("td", {}, number(one.logProbability, 2)), make("td", {}, number(one.value)),
            make("td", { class: "rollout" }, one.rollout ?? "–"));
    });
    const kl = step.kl === undefined ? "" : `; KL of this step ${number(step.kl, 3)}, so far ${number(step.cumulativeKL, 2)} nats`;
    const table = make("table", { class: "step" }, make("caption", {}, `Step ${index + 1}${kl}`),
        make("thead", {}, head), make("tbody", {}, ...body));
    return make("div", { class: "box", tabindex: "0", role: "region", "aria-label": `Candidates of step ${index + 1}` }, table);
}

function groupCard(group, { own, other, column, words }) {
    const methods = form.all.checked ? data.methods.map((_, index) => index) : own === other ? [own] : [own, other];
    const digits = columns.find((one) => one.name === column).digits;
    const name = `Prompt ${data.prompts[group.prompt].number}` + (seeds.size > 1 ? `, seed ${group.seed}` : "");
    const difference = group.difference === null || own === other ? "" : `difference ${signed(group.difference, digits)}`;
    const turns = data.prompts[group.prompt].messages.map((turn) =>
        make("div", { class: "turn" }, make("b", {}, turn.role), marked(turn.content, words)));
    return make("article", { "data-prompt": group.prompt, "data-seed": group.seed },
        make("header", {}, make("h3", {}, name), make("span", { class: "soft difference" }, difference)), ...turns,
        make("div", { class: "pair" }, ...methods.map((method) => answerCard(group.answers.get(method), method, words))));
}

function showAnswers() {
    const choice = chosen();
    const page = choice.fitting.slice(0, shown);
    list.replaceChildren(...page.map((group) => groupCard(group, choice)));
    if (choice.fitting.length > shown) {
        const from = shown;
        const more = make("button", { type: "button", class: "plain more", onclick: () => {
            shown += pageSize;
            showAnswers();
            const next = list.children[from];
            next.tabIndex = -1;
            next.focus();
        } }, `Show ${Math.min(pageSize, choice.fitting.length - shown)} more`);
        list.append(more);
    }
    const total = `${page.length} of ${choice.fitting.length}`;
    count.textContent = choice.fitting.length ? `Showing ${total}.` : "No prompt or answer holds these words.";
}

function startAnswers() {
    if (!form || !data.answers.length) return;
    const restart = () => { shown = pageSize; showAnswers(); };
    form.onsubmit = (event) => event.preventDefault();
    form.oninput = restart;
    form.onchange = restart;
    form.hidden = false;
    restart();
}

sortTables();
startAnswers();
