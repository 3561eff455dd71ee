// The settings: which preset, which method, its parameters.

import { el } from "./dom.js";

/// The parameters that most people turn, with a sentence each. The server knows the others.
const FIELDS = [
    {
        name: "alpha", title: "Alpha (α)", min: 0, step: "any",
        help: "The pull back to the model, in reward per nat. Smaller follows the reward more.",
    },
    { name: "k", title: "Candidates (k)", min: 1, step: 1, help: "How many of the likeliest next tokens are considered." },
    {
        name: "horizon", title: "Horizon", min: 1, step: 1,
        help: "Tokens that a rollout looks ahead. Longer sees more and takes longer.",
    },
    {
        name: "confidence", title: "Confidence", min: 0.5, step: "any",
        help: "Leaves out candidates that hardly ever win: faster, approximate. Empty searches exactly.",
    },
];

function isNumber(value) {
    return value !== null && value !== undefined && value !== "" && Number.isFinite(Number(value));
}

/// A reward's name as a person says it: a file by its name alone.
function rewardName(term) {
    const text = String(term?.name ?? term?.reward ?? term);
    return text.includes("/") ? text.replace(/^.*\//, "").replace(/\.\w+$/, "") : text;
}

export class Controls {
    constructor(host) {
        this.host = host;
        this.presets = [];
        this.onKey = () => {};
        this.preset = el("select", { id: "preset", change: () => this.choosePreset() });
        this.method = el("select", { id: "method", change: () => this.chooseMethod() });
        this.presetHelp = el("p", { class: "help", id: "preset-help" });
        this.methodHelp = el("p", { class: "help", id: "method-help" });
        this.inputs = new Map(FIELDS.map((field) => [field.name, this.input(field)]));
        this.length = el("input", { type: "number", id: "length", min: 1, max: 4096, step: 1, value: 96, required: true });
        this.seed = el("input", { type: "number", id: "seed", min: 0, step: 1, value: 0, required: true });
        this.compare = el("input", { type: "checkbox", id: "compare", checked: true });
        this.key = el("input", { type: "password", id: "key", autocomplete: "off", change: () => this.onKey() });
        this.keyField = this.field("API key", this.key, el("p", { class: "help", text: "Kept until this page is closed." }));
        this.keyField.hidden = true;
        this.form = el("form", { class: "settings", submit: (event) => event.preventDefault() },
            el("h2", { class: "hidden", text: "Settings" }),
            this.keyField,
            this.field("Preset", this.preset, this.presetHelp),
            this.field("Method", this.method, this.methodHelp),
            el("label", { class: "check" }, this.compare, el("span", {}, "Plain decoding beside it",
                el("span", { class: "help", text: "The same model and seed without guidance." }))),
            ...FIELDS.map((field) => this.fields.get(field.name)),
            el("div", { class: "two" },
                this.field("Length", this.length, el("p", { class: "help", text: "Most tokens of the answer." })),
                this.field("Seed", this.seed, el("p", { class: "help", text: "Same seed, same answer." }))));
        host.append(this.form);
        this.choosePreset();
    }

    /// A parameter's input, which is empty where the preset's own value holds.
    input({ name, min, step }) {
        this.fields ??= new Map();
        const input = el("input", { type: "number", id: name, min, step, inputmode: step === 1 ? "numeric" : "decimal" });
        const field = FIELDS.find((one) => one.name === name);
        this.fields.set(name, this.field(field.title, input, el("p", { class: "help", text: field.help })));
        return input;
    }

    field(title, input, help) {
        help.id = `${input.id}-help`;
        input.setAttribute("aria-describedby", help.id);
        return el("div", { class: "field" }, el("label", { for: input.id, text: title }), input, help);
    }

    /// - presets: as ``models`` gives them.
    offer(presets) {
        this.presets = presets;
        this.preset.replaceChildren(...presets.map((preset) => el("option", { value: preset.id, text: preset.id })));
        this.preset.value = (presets.find((preset) => preset.isDefault) ?? presets[0])?.id ?? "";
        this.choosePreset();
    }

    get chosen() {
        return this.presets.find((preset) => preset.id === this.preset.value) ?? null;
    }

    choosePreset() {
        const preset = this.chosen;
        const methods = preset?.methods ?? [];
        this.preset.disabled = !preset;
        this.presetHelp.textContent = preset?.description ?? (preset ? "" : "No server, no presets.");
        this.method.replaceChildren(...methods.map((method) => el("option", { value: method.name, text: method.name })));
        if (preset?.method) this.method.value = preset.method;
        this.method.disabled = !methods.length;
        if (isNumber(preset?.maxTokens)) {
            this.length.max = preset.maxTokens;
            if (Number(this.length.value) > preset.maxTokens) this.length.value = preset.maxTokens;
        }
        this.chooseMethod();
    }

    chooseMethod() {
        const preset = this.chosen;
        const method = (preset?.methods ?? []).find((one) => one.name === this.method.value);
        this.methodHelp.textContent = method?.summary ?? "";
        for (const { name } of FIELDS) {
            const parameter = (method?.parameters ?? []).find((one) => one.name === name);
            const own = method?.name === preset?.method ? preset?.parameters?.[name] : undefined;
            const standard = own ?? parameter?.default;
            const input = this.inputs.get(name);
            this.fields.get(name).hidden = preset !== null && !parameter;
            input.disabled = !parameter;
            input.placeholder = isNumber(standard) ? String(Number(standard)) : String(standard ?? "off");
            if (name === "alpha" && !isNumber(standard)) input.placeholder = "the reward’s spread";
        }
    }

    /// What plain decoding is beside guided answers: a draw where those are drawn.
    get plainMethod() {
        const own = this.chosen?.parameters ?? {};
        return own.choice === "sample" || this.method.value === "sample" ? "sample" : "greedy";
    }

    /// Names of the reward's parts.
    get partNames() {
        const reward = this.chosen?.reward;
        return (Array.isArray(reward) ? reward : []).map(rewardName);
    }

    /// Shows what a person must mend; whether there is nothing.
    isValid() {
        return this.form.reportValidity();
    }

    askForKey() {
        this.keyField.hidden = false;
        this.key.focus();
    }

    /// The request for an answer, guided or plain.
    request(messages, { isPlain = false } = {}) {
        const guidance = { trace: true, method: isPlain ? this.plainMethod : this.method.value };
        for (const [name, input] of this.inputs) {
            if (!isPlain && !input.disabled && input.value !== "") guidance[name] = Number(input.value);
        }
        return {
            model: this.preset.value, messages, stream: true, stream_options: { include_usage: true },
            max_tokens: Number(this.length.value), seed: Number(this.seed.value), transferq: guidance,
        };
    }
}
