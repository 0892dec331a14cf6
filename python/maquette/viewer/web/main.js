/** Opens the scene that the address names. */

import { beginDownload, fetchJson } from "./fetching.js";
import { Frame } from "./frame.js";
import { addInterface } from "./interface.js";
import { readManifest } from "./manifest.js";
import { hideLoading, showLoading, showPicture, showProblem } from "./overlay.js";
import { Settings, applyTheme } from "./settings.js";
import { createStage } from "./stage.js";
import { Viewer, sourcesOf } from "./viewer.js";

const state = { ready: false, failed: false, viewer: null };
window.maquette = state;

const reached = (point) => performance.mark(`maquette:${point}`); // benchmarks/page.py reads these

async function open() {
    applyTheme();
    const named = document.querySelector('meta[name="maquette-manifest"]')?.content;
    const asked = new URLSearchParams(location.search).get("manifest") || named || "manifest.json";
    const base = new URL(asked, location.href).href;
    showLoading("Loading", 0);
    const scene = readManifest(await fetchJson(base), base);
    document.title = `${scene.title} · maquette`;
    showPicture(scene.picture);
    beginDownload(sourcesOf(scene)[0].url); // goes on while the graphics start, which blocks this thread
    const frame = new Frame(scene.up);
    const stage = await createStage(document.getElementById("canvas"), frame);
    reached("engine");
    const viewer = new Viewer(scene, frame, stage);
    state.viewer = viewer;
    const settings = new Settings(viewer); // before anything is drawn, at the size that stays
    await viewer.open();
    reached("loaded");
    state.tools = await addInterface(viewer, settings);
    await stage.drawn();
    hideLoading();
    reached("picture");
    state.ready = true;
}

open().catch((error) => {
    state.failed = true;
    console.error(error);
    showProblem(error);
});
