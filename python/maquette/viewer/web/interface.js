/** Head line, tool bar, panels and keys, for what the scene has. */

import { Annotations } from "./annotations.js";
import { Cameras } from "./cameras.js";
import { Comparing } from "./comparing.js";
import { addJoystick } from "./joystick.js";
import { applyLink, copyLink } from "./link.js";
import { Marks } from "./marks.js";
import { Measuring } from "./measuring.js";
import { note } from "./overlay.js";
import { Panels } from "./panels.js";
import { ScenePicker } from "./picking.js";
import { saveScreenshot } from "./screenshot.js";
import { Toolbar } from "./toolbar.js";

export async function addInterface(viewer, settings) {
    const { scene } = viewer;
    document.getElementById("title").textContent = scene.title;
    document.getElementById("description").textContent = scene.description;
    const picker = new ScenePicker(viewer.stage);
    viewer.pick = (x, y) => picker.point(x, y);
    const marks = new Marks(viewer);
    const tools = {
        viewer,
        measuring: new Measuring(viewer, marks),
        annotations: new Annotations(viewer, marks),
        comparing: new Comparing(viewer),
        cameras: new Cameras(viewer),
        settings,
    };
    tools.panels = new Panels(tools);
    const toolbar = new Toolbar();
    addButtons(toolbar, tools);
    addJoystick(document.getElementById("stick"), viewer.controls);
    viewer.viewpoint.onMode = (mode) => showMode(toolbar, mode);
    showMode(toolbar, "orbit");
    await applyLink(viewer, tools.annotations);
    return tools;
}

function addButtons(toolbar, tools) {
    const { viewer, measuring, annotations, comparing, cameras, panels } = tools;
    const go = (mode) => () => viewer.setMode(mode);
    toolbar.add("orbit", "Orbit", "1", go("orbit"));
    toolbar.add("fly", "Fly", "2", go("fly"));
    if (viewer.scene.canWalk) toolbar.add("walk", "Walk", "3", go("walk"));
    toolbar.divide();
    toolbar.add("all", "Show all", "F", () => viewer.frameAll());
    toolbar.add("reset", "Reset the view", "R", () => viewer.reset());
    toolbar.add("above", "From above", "T", () => viewer.fromAbove());
    toolbar.divide();
    const exclusive = [measuring, annotations];
    annotations.onPlaced = () => {
        annotations.stop();
        toolbar.press("mark", false);
        document.body.classList.remove("aims");
    };
    const toggled = (name, tool) => async () => {
        const isOn = !toolbar.isPressed(name);
        exclusive.forEach((other) => other.stop());
        ["measure", "mark"].forEach((other) => toolbar.press(other, false));
        document.body.classList.toggle("aims", isOn);
        if (isOn) tool.start();
        toolbar.press(name, isOn);
    };
    toolbar.add("measure", "Measure a distance", "M", toggled("measure", measuring));
    toolbar.add("mark", "Add a note", "N", toggled("mark", annotations));
    if (comparing.isPossible) {
        toolbar.add("compare", "Compare side by side", "C", async () => {
            if (comparing.isOn) comparing.stop();
            else await comparing.start();
            toolbar.press("compare", comparing.isOn);
        });
    }
    toolbar.divide();
    toolbar.add("shot", "Save a picture", "P", () => saveScreenshot(viewer));
    toolbar.add("link", "Copy a link to this view", "L", () => copyLink(viewer, annotations));
    toolbar.divide();
    for (const [name, label, key] of [["layers", "Layers", "Y"], ["settings", "Settings", "O"], ["help", "Help", "H"]]) {
        toolbar.add(name, label, key, () => {
            const opened = panels.toggle(name);
            ["layers", "settings", "help"].forEach((other) => toolbar.press(other, other === opened));
        });
    }
    if (document.fullscreenEnabled) toolbar.add("full", "Full screen", "Enter", toggleFullScreen);
    toolbar.onEscape = () => {
        exclusive.forEach((tool) => tool.stop());
        annotations.close();
        panels.close();
        document.body.classList.remove("aims");
        ["measure", "mark", "layers", "settings", "help"].forEach((name) => toolbar.press(name, false));
        document.getElementById("photo").hidden = true;
    };
}

function showMode(toolbar, mode) {
    for (const name of ["orbit", "fly", "walk"]) toolbar.press(name, name === mode);
    const isTouch = matchMedia("(pointer: coarse)").matches || navigator.maxTouchPoints > 0;
    document.getElementById("stick").hidden = mode === "orbit" || !isTouch;
    if (mode !== "orbit" && !isTouch) note("W A S D move, drag looks around, Shift is faster.");
}

function toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen().catch(() => note("The browser allows no full screen here."));
}
