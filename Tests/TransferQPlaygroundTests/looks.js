// What a page must hold at any width, light and dark; returns a list of what does not.

function rgb(text) {
    const numbers = text.match(/[0-9.]+(e-?\d+)?/g).map(Number);
    const [r, g, b, a = 1] = numbers;
    return text.startsWith("color(srgb") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
}

function over([r, g, b, a], [x, y, z]) {
    return [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
}

function light(colour) {
    const [x, y, z] = colour.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

function ground(element) {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(rgb(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
}

function ratio(colour, below) {
    const [a, b] = [light(over(colour, below)), light(below)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function isSeen(element) {
    return element.getClientRects().length > 0 && !["SCRIPT", "STYLE", "OPTION"].includes(element.tagName);
}

const found = new Set();
const name = (element) => `${element.tagName}.${element.getAttribute("class")}#${element.id}`;
for (const element of document.querySelectorAll("body *")) {
    if (!isSeen(element) || element.ownerSVGElement) continue;
    const style = getComputedStyle(element);
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const isField = ["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName);
    if (own || isField) {
        const is = ratio(rgb(style.color), ground(element));
        if (is < 4.5 && !element.disabled) found.add(`${name(element)} has text of contrast ${is.toFixed(2)}`);
        if (parseFloat(style.fontSize) < 11) found.add(`${name(element)} has letters of ${style.fontSize}`);
    }
    if (isField && element.type !== "range" && !element.disabled && style.borderStyle !== "none") {
        const is = ratio(rgb(style.borderTopColor), ground(element.parentElement));
        if (is < 3) found.add(`${name(element)} has an edge of contrast ${is.toFixed(2)}`);
        const hint = getComputedStyle(element, "::placeholder").color;
        if (ratio(rgb(hint), ground(element)) < 4.5) found.add(`${name(element)} has a faint placeholder`);
    }
    const box = element.getBoundingClientRect();
    if (box.width > 1 && (box.right > innerWidth + 1 || box.left < -1) && !element.closest("[data-scrolls]")) {
        found.add(`${name(element)} leaves the page: ${Math.round(box.left)} to ${Math.round(box.right)}`);
    }
    if (["BUTTON", "SELECT"].includes(element.tagName) && (box.height < 24 || box.width < 24)) {
        found.add(`${name(element)} is a target of ${Math.round(box.width)} x ${Math.round(box.height)}`);
    }
    const label = element.getAttribute("aria-label") ?? element.textContent.trim();
    if (["BUTTON", "A"].includes(element.tagName) && !label) found.add(`${name(element)} has no name`);
    if (isField && !element.labels?.length && !element.getAttribute("aria-label")) found.add(`${name(element)} has no label`);
}
for (const mark of document.querySelectorAll(".line .solid, .line .dots, .bar .fill")) {
    if (!mark.getClientRects().length) continue;
    const style = getComputedStyle(mark);
    const is = ratio(rgb(mark.classList.contains("fill") ? style.fill : style.stroke), ground(mark.closest("svg").parentElement));
    if (is < 3) found.add(`a mark ${mark.getAttribute("class")} has contrast ${is.toFixed(2)}`);
}
const wide = document.documentElement.scrollWidth;
if (wide > innerWidth) found.add(`the page is ${wide} wide in ${innerWidth}`);
const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.add(`the id ${id} is there twice`);
return [...found];
