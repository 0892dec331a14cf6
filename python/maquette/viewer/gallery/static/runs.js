/** Training runs: previews that follow the newest, figures, and curves. */

import { counted, element } from "./words.js";

const CURVES = { loss: "Loss", psnr: "PSNR of training, dB", held_out_psnr: "PSNR of held-out photos, dB" };
const chosen = {}; // run → number of the preview that a person chose; absent: the newest
const open = {}; // run → model that is shown in 3D

export function showRuns(place, runs, at) {
    const key = (run) => `${run.pipeline}/${run.group}`;
    for (const run of runs) {
        const id = `run ${key(run)}`;
        let panel = document.getElementById(id);
        if (!panel) {
            panel = element("div", { class: "panel", id, style: "margin-bottom: 14px" });
            place.append(panel);
        }
        draw(panel, run, key(run), at);
    }
}

function draw(panel, run, key, at) {
    const head = element("h3", {}, `${run.pipeline} · ${run.group}`);
    const figures = element("table", {}, ...run.figures.map(([words, value]) =>
        element("tr", {}, element("td", {}, words), element("td", {}, value))));
    const curves = Object.entries(run.curves).filter(([, points]) => points.length > 1)
        .map(([name, points]) => curve(CURVES[name], points));
    const parts = element("div", { class: "columns" }, element("div", {}, figures), ...curves.slice(0, 2));
    const previews = run.previews.length ? preview(panel, run, key, at) : [];
    // The frame in 3D stays in the page: it would load again if it were taken out and put back.
    const frame = panel.querySelector("iframe");
    for (const child of [...panel.children]) if (!child.contains(frame)) child.remove();
    panel.prepend(head, parts, ...previews);
}

function preview(panel, run, key, at) {
    const last = run.previews.length - 1;
    const number = Math.min(chosen[key] ?? last, last);
    const one = run.previews[number];
    const picture = element("img", { class: "wide", src: at(one.url), alt: "photo, rendering and normals" });
    const slider = element("input", { type: "range", min: 0, max: last, value: number, "aria-label": "preview" });
    slider.addEventListener("input", () => {
        chosen[key] = Number(slider.value) === last ? undefined : Number(slider.value);
        draw(panel, run, key, at);
    });
    const words = `preview at iteration ${one.iteration.toLocaleString()} · ${number + 1} of ${counted(last + 1, "preview")}`;
    const button = element("button", { type: "button" }, panel.querySelector("iframe") ? "close 3D" : "show in 3D");
    button.addEventListener("click", () => {
        const frame = panel.querySelector("iframe");
        if (frame) frame.closest(".stage").remove();
        else addFrame(panel);
        draw(panel, run, key, at);
    });
    if (panel.querySelector("iframe")) show(panel, key, one, at);
    const caption = element("figcaption", {}, chosen[key] === undefined ? element("span", { class: "live" }) : "", words);
    const more = one.model ? element("div", { class: "tabs", style: "margin-top: 8px" }, button) : "";
    return [element("figure", { style: "margin-top: 14px" }, picture, caption, last ? slider : "", more)];
}

function addFrame(panel) {
    const frame = element("iframe", { title: "preview in 3D", allow: "fullscreen" });
    panel.append(element("div", { class: "stage", style: "margin-top: 10px" }, element("figure", {}, frame)));
}

function show(panel, key, one, at) {
    if (!one.model || open[key] === one.model + one.iteration) {
        if (panel.querySelector("iframe").src) return;
    }
    open[key] = one.model + one.iteration;
    const manifest = `${at("preview.json")}?model=${encodeURIComponent(one.model)}`;
    panel.querySelector("iframe").src = `/page/index.html?manifest=${encodeURIComponent(manifest)}`;
}

const short = (value) => Number(value.toPrecision(3)).toLocaleString();

function curve(words, points) {
    const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [low, high] = [Math.min(...ys), Math.max(...ys)];
    const place = ([x, y]) => `${(100 * (x - left)) / (right - left || 1)} ${100 - (100 * (y - low)) / (high - low || 1)}`;
    const drawn = `M${points.map(place).join("L")}`;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "curve");
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${words}, from ${ys[0]} to ${ys[ys.length - 1]}`);
    for (const height of [0, 50, 100]) {
        const line = document.createElementNS(svg.namespaceURI, "line");
        for (const [key, value] of Object.entries({ x1: 0, x2: 100, y1: height, y2: height })) line.setAttribute(key, value);
        svg.append(line);
    }
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", drawn);
    svg.append(path);
    const ends = element("div", { class: "axis" },
        element("span", {}, `iteration ${left.toLocaleString()}`), element("span", {}, right.toLocaleString()));
    const range = element("div", { class: "axis" }, element("span", {}, words), element("span", {}, `${short(low)} … ${short(high)}`));
    return element("figure", {}, range, svg, ends);
}
