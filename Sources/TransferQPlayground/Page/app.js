// The page: what is on it, and how its parts hang together.

import { AnswerView } from "./answer.js";
import { Chat, message } from "./chat.js";
import { Controls } from "./controls.js";
import { count, el } from "./dom.js";
import { Inspector } from "./inspector.js";
import { models } from "./sse.js";
import { MEASURES } from "./tokens.js";
import { isMoved, readTrace } from "./trace.js";

const EXAMPLES = [
    "A colleague takes the credit for my work. What should I say to her?",
    "My neighbour plays loud music every night. How do I make him stop?",
    "Write a short note to a friend who lost a game that mattered.",
];
/// Pages so wide show a token's details beside the answers.
const WIDE = "(min-width: 80rem)";
/// Answers of a trace that are drawn at once.
const TRACE_PAGE = 10;

const byId = (id) => document.getElementById(id);
const isTracePage = document.documentElement.dataset.mode === "trace";
const conversation = byId("conversation");
const views = new Set();
let measure = "kl";

const inspector = new Inspector(byId("inspector"), {
    onMove: (index) => openToken(inspector.answer, index),
    onClose: (answer, index) => {
        answer.select(null);
        answer.tokens.rove(index, true);
    },
});

function openToken(view, index) {
    calls.stay();
    if (inspector.isOpen && inspector.answer !== view) inspector.answer.select(null);
    inspector.show(view, index);
    view.select(index);
    const token = view.tokens.tokens[index].getClientRects()[0];
    // Behind the panel of a narrow page, or out of sight.
    const floor = matchMedia(WIDE).matches ? innerHeight : byId("inspector").getBoundingClientRect().top;
    if (token && (token.bottom > floor - 8 || token.top < 60)) {
        scrollBy({ top: token.top - Math.max(80, floor / 3), behavior: "instant" });
    }
}

const calls = {
    open: openToken,
    isOpen: (view) => inspector.answer === view,
    prepare: (view) => {
        views.add(view);
        view.tokens.setMeasure(measure);
        view.changed = () => { if (inspector.answer === view) inspector.refresh(); };
        byId("legend").hidden = false;
    },
    leave: (view) => {
        views.delete(view);
        if (inspector.answer === view) inspector.close();
    },
    /// Opened tokens are to stay where they are.
    stay: () => {},
    announce: (text) => { byId("announcement").textContent = text; },
};

// What colours mean

function fillLegend() {
    const choice = el("select", {
        id: "measure",
        change: (event) => {
            measure = event.target.value;
            for (const view of views) view.tokens.setMeasure(measure);
        },
    }, ...Object.entries(MEASURES).map(([name, { title }]) => el("option", { value: name, text: title })));
    const swatches = ["0", "0.5", "1", "2", "4+"].map((text) => {
        const swatch = el("span", { class: "token swatch", text });
        swatch.style.setProperty("--heat", (1 - Math.exp(-Number.parseFloat(text) / 1.5)).toFixed(3));
        return swatch;
    });
    byId("legend").append(
        el("label", { for: "measure", text: "Colour" }), choice,
        el("span", { class: "scale" }, ...swatches, el("span", { text: "nats" })),
        el("span", { class: "sample" }, el("span", { class: "token moved", text: "underlined" }),
            ": not the model’s own first choice"));
}

// Traces

function showTrace(text, name) {
    const answers = readTrace(text);
    const block = el("section", { class: "turn trace", "aria-label": `Trace ${name}` });
    if (!isTracePage) {
        block.append(el("div", { class: "trace-head" },
            el("h2", { text: `Trace ${name}` }), el("span", { class: "soft", text: count(answers.length, "answer") }),
            el("button", {
                type: "button", class: "quiet", text: "Close", click: () => {
                    inspector.close();
                    block.remove();
                    if (!conversation.childElementCount) reset();
                },
            })));
    }
    const draw = (first) => {
        for (const answer of answers.slice(first, first + TRACE_PAGE)) block.append(traceAnswer(answer));
        const left = answers.length - first - TRACE_PAGE;
        if (left <= 0) return;
        const more = el("button", {
            type: "button", class: "quiet more", text: `Show ${Math.min(left, TRACE_PAGE)} more of ${left}`,
            click: () => { more.remove(); draw(first + TRACE_PAGE); },
        });
        block.append(more);
    };
    draw(0);
    byId("welcome").hidden = true;
    byId("new-chat").hidden = false;
    conversation.append(block);
    return block;
}

function traceAnswer({ prompt, conversation: messages, steps }) {
    const alpha = steps.find((step) => step.alpha !== null);
    const view = new AnswerView({
        title: "Answer", detail: alpha ? "guided" : "plain", onOpen: calls.open, isOpen: calls.isOpen, hasReward: Boolean(alpha),
    });
    calls.prepare(view);
    for (const step of steps) view.steps.push(step), view.tokens.add(step);
    view.settle();
    view.end("trace");
    return el("div", { class: "trace-answer", "data-prompt": prompt },
        ...messages.map(({ role, content }) => message(role, content)), view.element);
}

/// Where there is room, a page of a trace begins with the first token that guidance moved.
function showFirst() {
    const [view] = views;
    if (!matchMedia(WIDE).matches) return;
    openToken(view, Math.max(view.steps.findIndex((step) => step.candidates.length > 1 && isMoved(step)), 0));
    scrollTo({ top: 0, behavior: "instant" });
}

async function openFile(file) {
    hideBanner();
    try {
        const block = showTrace(await file.text(), file.name);
        block.scrollIntoView({ block: "start" });
        block.querySelector(".token")?.focus({ preventScroll: true });
    } catch (error) {
        showBanner(`${file.name} cannot be shown. ${error.message}`);
    }
}

// Messages to whoever uses the page

function showBanner(text, action) {
    byId("banner").replaceChildren(el("p", { text }), ...(action ? [action] : []),
        el("button", { type: "button", class: "icon", "aria-label": "Close", text: "×", click: hideBanner }));
    byId("banner").hidden = false;
}

function hideBanner() {
    byId("banner").hidden = true;
}

function reset() {
    byId("welcome").hidden = false;
    byId("legend").hidden = true;
    byId("new-chat").hidden = true;
    views.clear();
}

// The page with a server

function startChat() {
    const controls = new Controls(byId("settings"));
    const prompt = byId("prompt");
    const chat = new Chat(conversation, controls, calls, (isRunning) => {
        byId("send").hidden = isRunning;
        byId("stop").hidden = !isRunning;
        // A button that is gone leaves the focus to the page.
        if (!isRunning && [document.body, byId("stop")].includes(document.activeElement)) prompt.focus();
    });

    calls.stay = () => { chat.follows = false; };

    const load = async () => {
        hideBanner();
        try {
            const presets = await models(controls.key.value);
            controls.offer(presets);
            if (!presets.length) showBanner("The server offers no model. Give it one when you start it.");
        } catch (error) {
            if (error.status === 401) {
                showSettings(true);
                controls.askForKey();
            }
            showBanner(error.message, el("button", { type: "button", class: "quiet", text: "Try again", click: load }));
        }
    };
    controls.onKey = load;

    const grow = () => {
        prompt.style.height = "auto";
        prompt.style.height = `${Math.min(prompt.scrollHeight + 2, 200)}px`;
    };
    const send = async (text) => {
        if (chat.isRunning || !text.trim()) return;
        if (!controls.isValid()) return showSettings(true);
        if (!controls.chosen) return load();
        hideBanner();
        byId("welcome").hidden = true;
        byId("new-chat").hidden = false;
        prompt.value = "";
        grow();
        showSettings(false);
        await chat.send(text.trim());
    };
    const showSettings = (isShown) => {
        byId("settings").classList.toggle("shown", isShown);
        byId("show-settings").setAttribute("aria-expanded", String(isShown));
    };

    byId("show-settings").addEventListener("click", () => showSettings(!byId("settings").classList.contains("shown")));
    byId("composer").addEventListener("submit", (event) => {
        event.preventDefault();
        send(prompt.value);
    });
    prompt.addEventListener("input", grow);
    prompt.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        send(prompt.value);
    });
    byId("stop").addEventListener("click", () => chat.stop());
    byId("new-chat").addEventListener("click", () => {
        inspector.close();
        chat.clear();
        reset();
        prompt.focus();
    });
    byId("examples").append(...EXAMPLES.map((text) =>
        el("li", {}, el("button", { type: "button", class: "example", text, click: () => send(text) }))));
    load();
}

function acceptFiles() {
    const chooser = byId("trace-file");
    byId("open-trace").addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", async () => {
        for (const file of [...chooser.files]) await openFile(file);
        chooser.value = "";
    });
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        byId("drop").hidden = false;
    });
    addEventListener("dragleave", (event) => {
        if (event.relatedTarget === null) byId("drop").hidden = true;
    });
    addEventListener("drop", async (event) => {
        byId("drop").hidden = true;
        if (!hasFiles(event)) return;
        event.preventDefault();
        for (const file of [...event.dataTransfer.files]) await openFile(file);
    });
}

addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !inspector.isOpen) return;
    event.preventDefault();
    inspector.close();
});
fillLegend();
if (isTracePage) {
    try {
        showTrace(byId("trace").textContent, "");
        showFirst();
    } catch (error) {
        showBanner(`The trace in this page cannot be shown. ${error.message}`);
    }
} else {
    acceptFiles();
    startChat();
}
