// Elements and numbers. Text goes into elements as text only: what models wrote is never markup.

const SVG = "http://www.w3.org/2000/svg";

function build(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (typeof value === "function") element.addEventListener(name, value);
        else if (name === "text") element.textContent = value;
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/// An element: `el("button", { class: "quiet", click: close, text: "Close" })`. A function is a listener.
export function el(name, attributes = {}, ...children) {
    return build(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
    return build(document.createElementNS(SVG, name), attributes, children);
}

/// A number as it is shown: a minus sign, no sign of a zero, a dash where there is none.
export function figure(value, digits = 2) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const text = Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) !== 0 ? "−" + text : text;
}

/// With as many digits as tell it from its neighbours: 0.013, 0.50, 12, 1,234.
export function short(value) {
    if (!Number.isFinite(value)) return figure(value);
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en");
    return figure(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 3);
}

export function percent(share) {
    if (share === null || share === undefined || Number.isNaN(share)) return "–";
    if (share === 0 || share === 1) return share * 100 + " %";
    if (share < 0.001) return "< 0.1 %";
    if (share > 0.999) return "> 99.9 %";
    return (share * 100).toFixed(share < 0.1 || share > 0.9 ? 1 : 0) + " %";
}

export function count(number, word) {
    return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/// A token's text as a word: as ``visible``, without the space that begins it.
export function word(text) {
    return visible(text).replace(/^␣(?=.)/, "");
}

/// A token's text with what is invisible made visible.
export function visible(text) {
    if (text === "") return "(no text)";
    return text.replace(/\r?\n/g, "⏎").replace(/\t/g, "⇥").replace(/^ | $/g, "␣");
}
