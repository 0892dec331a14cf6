/** The panel at the side: layers, settings or help. */

import { megabytes } from "./problems.js";

const KEYS = [
    ["Drag", "turn; in Fly and Walk look around"], ["Right drag, Shift drag", "pan"],
    ["Wheel, pinch", "nearer, away"], ["Double click", "turn about that point"],
    ["W A S D, arrows", "move"], ["Q E", "down, up"], ["Shift", "faster"],
    ["1 2 3", "orbit, fly, walk"], ["F R T", "show all, reset, from above"],
    ["M N C", "measure, note, compare"], ["P L", "picture, link"], ["Y O H", "layers, settings, help"],
    ["Enter", "full screen"], ["Esc", "close"],
];
const STATES = { waiting: "not loaded", loading: "loading …", failed: "could not be loaded" };

export class Panels {
    constructor(tools) {
        this.tools = tools;
        this.element = document.getElementById("panel");
        this.opened = null;
        tools.viewer.addEventListener("changed", () => {
            if (this.opened === "layers") this.draw();
        });
    }

    /** Open one, or close it where it is open; returns the name of what is open. */
    toggle(name) {
        this.opened = this.opened === name ? null : name;
        this.draw();
        return this.opened;
    }

    close() {
        this.opened = null;
        this.draw();
    }

    draw() {
        const builders = { layers: () => this.layers(), settings: () => this.settings(), help: () => this.help() };
        this.element.hidden = !this.opened;
        this.element.replaceChildren(...(this.opened ? builders[this.opened]() : []));
    }

    layers() {
        const { viewer, cameras, comparing } = this.tools;
        const rows = viewer.entries.map((entry) => this.layerRow(entry));
        const parts = [heading("Layers"), ...rows];
        if (cameras.isPossible) {
            const count = cameras.list.length;
            const facts = count ? `${count.toLocaleString("en")} photos` : "";
            parts.push(row("cameras", checkbox(cameras.isVisible, (isOn) => cameras.show(isOn)), facts));
        }
        if (comparing.isPossible && viewer.entries.length > 2) {
            parts.push(heading("Compare"));
            for (const side of ["left", "right"]) {
                const names = viewer.entries.map((entry) => entry.source.name);
                const choice = select(names, comparing[side].source.name, (name) =>
                    comparing.choose(side, viewer.entries[names.indexOf(name)]),
                );
                parts.push(row(side, choice));
            }
        }
        return parts;
    }

    layerRow(entry) {
        const { source, state, item } = entry;
        const facts = [factOf(item ?? source), STATES[state] ?? "", source.bytes ? megabytes(source.bytes) : ""];
        const box = checkbox(state === "shown", (isOn) => this.tools.viewer.show(entry, isOn));
        box.disabled = state === "loading";
        return row(source.name, box, facts.filter(Boolean).join(" · "));
    }

    settings() {
        const { settings, viewer } = this.tools;
        const { values } = settings;
        const choose = (name, names) => select(names, values[name] || names[0], (value) => settings.set(name, value));
        const theme = select(["as the system", "dark", "light"], values.theme || "as the system", (value) =>
            settings.set("theme", value === "as the system" ? "" : value),
        );
        const parts = [heading("Settings"), row("Theme", theme), row("Background", colorInput(settings))];
        parts.push(row("Quality", choose("quality", ["low", "medium", "high"])));
        if (viewer.scene.meshes.length) parts.push(row("Meshes", choose("shading", ["colours", "plain"])));
        if (viewer.scene.points.length) {
            parts.push(row("Point size", slider(1, 8, values.pointSize, (size) => settings.set("pointSize", size))));
        }
        return parts;
    }

    help() {
        const table = document.createElement("table");
        for (const [keys, meaning] of KEYS) {
            const line = table.insertRow();
            line.insertCell().textContent = keys;
            line.insertCell().textContent = meaning;
        }
        const { license, statement } = this.tools.viewer.scene;
        const about = [statement, license && `Content: ${license}.`].filter(Boolean).map(paragraph);
        const software = paragraph("Shown by maquette, with the PlayCanvas engine: ");
        const link = document.createElement("a");
        Object.assign(link, { href: "licenses.txt", target: "_blank", textContent: "licences" });
        software.append(link);
        return [heading("Keys"), table, heading("About"), ...about, software];
    }
}

function factOf({ kind, format, count }) {
    const words = { splat: "splats", mesh: "faces", points: "points" };
    const number = count ? `${count.toLocaleString("en")} ${words[kind]}` : "";
    return [number, format && `.${format}`].filter(Boolean).join(" · ");
}

function heading(text) {
    const element = document.createElement("h2");
    element.textContent = text;
    return element;
}

function paragraph(text) {
    const element = document.createElement("p");
    element.textContent = text;
    return element;
}

function row(name, control, facts = "") {
    const line = document.createElement("label");
    const words = document.createElement("span");
    words.textContent = name;
    if (facts) words.append(Object.assign(document.createElement("small"), { textContent: facts }));
    line.append(words, control);
    return line;
}

function checkbox(isOn, act) {
    const input = document.createElement("input");
    Object.assign(input, { type: "checkbox", checked: isOn });
    input.onchange = () => act(input.checked);
    return input;
}

function select(names, chosen, act) {
    const element = document.createElement("select");
    element.append(...names.map((name) => new Option(name, name, false, name === chosen)));
    element.onchange = () => act(element.value);
    return element;
}

function slider(low, high, value, act) {
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: low, max: high, step: 0.5, value });
    input.oninput = () => act(Number(input.value));
    return input;
}

function colorInput(settings) {
    const input = document.createElement("input");
    Object.assign(input, { type: "color", value: settings.background });
    input.oninput = () => settings.set("background", input.value);
    return input;
}
