/** All scenes of this machine. */

import { below, counted, day, element, fetchJson, measures, problem, size } from "./words.js";

const REFRESH_MS = 5000;
let shown = "";

function card(scene) {
    const cover = scene.has_cover
        ? element("img", { src: `${below(scene.name, "cover.jpg")}?${scene.changed_s}`, alt: "", loading: "lazy" })
        : element("div", { class: "none" }, "no picture yet");
    const best = Object.entries(scene.numbers).flatMap(([name, numbers]) =>
        measures(numbers).slice(0, 1).map(([words, value]) => `${words.split(" ")[0]} ${value} · ${name}`));
    const made = scene.pipelines.length ? scene.pipelines.join(", ") : "no results yet";
    const about = element("div", { class: "about" },
        element("h2", {}, scene.name),
        element("p", {}, `${counted(scene.photos, "photo")} · ${made}`),
        ...best.slice(0, 2).map((line) => element("p", {}, line)),
        element("p", {}, day(scene.changed_s) + (scene.size_bytes ? ` · ${size(scene.size_bytes)}` : "")));
    return element("a", { class: "card", href: below(scene.name, "") }, cover, about);
}

async function refresh() {
    const grid = document.getElementById("scenes");
    try {
        const { scenes, opening } = await fetchJson("/scenes.json");
        if (opening && !sessionStorage.getItem("opened")) {
            sessionStorage.setItem("opened", "yes");
            location.assign(below(opening, ""));
            return;
        }
        const state = JSON.stringify(scenes);
        if (state === shown) return;
        shown = state;
        document.getElementById("count").textContent = counted(scenes.length, "scene");
        const none = element("p", { class: "quiet" }, "No scene here yet: make prepare MODEL=name INPUT=video makes one.");
        grid.replaceChildren(...(scenes.length ? scenes.map(card) : [none]));
    } catch (error) {
        shown = "";
        grid.replaceChildren(problem(error));
    }
}

refresh();
setInterval(refresh, REFRESH_MS);
