/** Opens the scene that the address names. */

import { fetchJson } from "./fetching.js";
import { Frame } from "./frame.js";
import { addInterface } from "./interface.js";
import { readManifest } from "./manifest.js";
import { showLoading, showPicture, showProblem } from "./overlay.js";
import { createStage } from "./stage.js";
import { Viewer } from "./viewer.js";

const state = { ready: false, failed: false, viewer: null };
window.maquette = state;

async function open() {
    const named = document.querySelector('meta[name="maquette-manifest"]')?.content;
    const asked = new URLSearchParams(location.search).get("manifest") || named || "manifest.json";
    const base = new URL(asked, location.href).href;
    showLoading("Loading", 0);
    const scene = readManifest(await fetchJson(base), base);
    document.title = `${scene.title} · maquette`;
    showPicture(scene.picture);
    const frame = new Frame(scene.up);
    const stage = await createStage(document.getElementById("canvas"), frame);
    const viewer = new Viewer(scene, frame, stage);
    state.viewer = viewer;
    await viewer.open();
    state.tools = await addInterface(viewer);
    state.ready = true;
}

open().catch((error) => {
    state.failed = true;
    console.error(error);
    showProblem(error);
});
