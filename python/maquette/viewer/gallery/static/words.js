/** Elements and quantities, as all pages of the gallery write them. */

/** Make an element; text never becomes markup. */
export function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
}

export function size(bytes) {
    const units = ["B", "kB", "MB", "GB"];
    let value = bytes;
    while (value >= 999.5 && units.length > 1) {
        value /= 1000;
        units.shift();
    }
    return `${units[0] === "B" ? value : Number(value.toPrecision(3))} ${units[0]}`;
}

export function day(seconds) {
    return new Date(1000 * seconds).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function counted(number, word) {
    return `${number.toLocaleString()} ${word}${number === 1 ? "" : "s"}`;
}

const MEASURES = {
    psnr_db: ["PSNR of held-out photos", (x) => `${x.toFixed(1)} dB`],
    ssim: ["SSIM of held-out photos", (x) => x.toFixed(3)],
    f_score: ["F-score against the truth", (x) => `${(100 * x).toFixed(1)} %`],
    chamfer_relative: ["Chamfer distance, of the radius", (x) => `${(100 * x).toFixed(2)} %`],
    registered_ratio: ["photos with a pose", (x) => `${(100 * x).toFixed(0)} %`],
};

/** What was measured, in words a person knows; the most telling first. */
export function measures(numbers) {
    return Object.entries(MEASURES)
        .filter(([name]) => Number.isFinite(numbers?.[name]))
        .map(([name, [words, say]]) => [words, say(numbers[name])]);
}

/** An address below a scene. */
export function below(name, path) {
    return `/scenes/${encodeURIComponent(name)}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

export async function fetchJson(address) {
    const response = await fetch(address);
    const told = await response.json();
    if (!response.ok) throw Object.assign(new Error(told.problem), told);
    return told;
}

export function problem(error) {
    const words = error.problem ?? "The program that serves this page has ended.";
    const hint = error.problem ? error.hint : "Start it again: make view";
    return element("p", { class: "problem", role: "alert" }, words, hint ? element("br") : "", hint ?? "");
}
