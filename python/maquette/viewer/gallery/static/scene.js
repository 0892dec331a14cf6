/** One scene: its results in 3D, and what is known of how they came about. */

import { below, counted, element, fetchJson, measures, problem, size } from "./words.js";
import { showRuns } from "./runs.js";

const REFRESH_MS = 3000;
const name = decodeURIComponent(location.pathname.split("/")[2]);
const at = (path) => below(name, path);
const known = {}; // part of the page → what it shows, as JSON: it is drawn anew only when that changes

function part(id, facts, draw) {
    const state = JSON.stringify(facts);
    if (known[id] === state) return;
    known[id] = state;
    const section = document.getElementById(id);
    section.hidden = !facts || (Array.isArray(facts) && !facts.length);
    if (!section.hidden) draw(facts);
}

function viewer(manifest, words) {
    const address = `/page/index.html?manifest=${encodeURIComponent(manifest)}`;
    const frame = element("iframe", { src: address, title: words, allow: "fullscreen" });
    return element("figure", {}, frame, element("figcaption", {}, words));
}

function showResults(methods) {
    if (methods[0].name === "prepare") {
        document.getElementById("tabs").hidden = true;
        document.getElementById("stage").replaceChildren(viewer(at("manifest.json"), "points and cameras that prepare found"));
        return;
    }
    const manifests = methods.map((one) => [one.name, `${at("manifest.json")}?pipeline=${one.name}`]);
    const choices = manifests.map(([words, address]) => [words, [[words, address]]]);
    if (manifests.length > 1) {
        choices.unshift(["together", [["all methods", at("manifest.json")]]], ["side by side", manifests.slice(0, 2)]);
    }
    const stage = document.getElementById("stage");
    const choose = (button, shown) => {
        for (const other of tabs.children) other.setAttribute("aria-pressed", other === button);
        stage.replaceChildren(...shown.map(([words, address]) => viewer(address, words)));
    };
    const tabs = document.getElementById("tabs");
    const buttons = choices.map(([words, shown]) => {
        const button = element("button", { type: "button", "aria-pressed": "false" }, words);
        button.addEventListener("click", () => choose(button, shown));
        return button;
    });
    tabs.replaceChildren(...buttons);
    tabs.hidden = buttons.length < 2;
    choose(buttons[0], choices[0][1]);
}

function row(words, value) {
    return element("tr", {}, element("td", {}, words), element("td", {}, value));
}

function showNumbers(methods) {
    const panels = methods.map((one) => {
        const files = one.files.map((file) =>
            row(element("a", { class: "plain", href: at(file.url), download: file.name }, file.name), size(file.size_bytes)));
        return element("div", { class: "panel" },
            element("h3", {}, one.name),
            element("table", {}, ...measures(one.numbers).map(([words, value]) => row(words, value)), ...files));
    });
    document.getElementById("methods").replaceChildren(...panels);
}

function showPictures(paths) {
    const figures = paths.map((path) => element("figure", {},
        element("a", { href: at(path) }, element("img", { class: "wide", src: at(path), alt: "", loading: "lazy" })),
        element("figcaption", {}, path.split("/").slice(-2).join(" · "))));
    document.getElementById("sheets").replaceChildren(...figures);
}

function strip(id, paths, small, whole) {
    const pictures = paths.map((path) => element("a", { href: whole(path) },
        element("img", { src: small(path), alt: path.split("/").pop(), title: path.split("/").pop(), loading: "lazy" })));
    document.getElementById(id).replaceChildren(...pictures);
}

function showStages(stages) {
    const longest = Math.max(...stages.map((one) => one.seconds), 1e-9);
    const head = element("tr", {}, ...["method", "stage", "", "time"].map((words) => element("th", {}, words)));
    const rows = stages.map((one) => element("tr", {},
        element("td", {}, one.pipeline), element("td", {}, one.stage),
        element("td", { style: "width: 45%" }, element("div", { class: "bar", style: `width: ${(100 * one.seconds) / longest}%` })),
        element("td", {}, one.time)));
    document.getElementById("stages").replaceChildren(head, ...rows);
}

async function refresh() {
    const place = document.getElementById("problem");
    try {
        const state = await fetchJson(at("state.json"));
        document.title = `${state.name} · maquette`;
        document.getElementById("name").textContent = state.name;
        document.getElementById("about").textContent = counted(state.photo_count, "photo");
        document.getElementById("report").hidden = !state.report;
        const shown = state.pipelines.filter((one) => one.can_be_shown);
        const results = shown.map(({ name: words, made_s }) => ({ name: words, made_s }));
        part("results", results.length || !state.has_points ? results : [{ name: "prepare" }], showResults);
        part("training", state.runs, (runs) => showRuns(document.getElementById("runs"), runs, at));
        part("numbers", shown, showNumbers);
        part("pictures", state.pipelines.flatMap((one) => one.pictures), showPictures);
        part("depth", state.depth_maps, (paths) => strip("depths", paths, (x) => at(`depth/${x}`), (x) => at(`depth/${x}`)));
        part("photographs", state.photos, (paths) => strip("photos", paths, (x) => at(`thumbnail/${x}`), at));
        part("work", state.stages, showStages);
        place.replaceChildren();
    } catch (error) {
        place.replaceChildren(problem(error));
    }
}

refresh();
setInterval(refresh, REFRESH_MS);
