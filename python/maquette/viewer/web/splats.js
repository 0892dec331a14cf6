/** Splats as an item of the stage: `.sog`, `.ply`, `.splat` and streamed SOG. */

import { Asset, Entity, GSplatResource } from "playcanvas";
import { fetchBytes } from "./fetching.js";
import { Problem, fileName } from "./problems.js";
import { readSplat } from "./splat_file.js";

const COARSER_MEANWHILE = 16; // levels of detail, more than files have

export async function loadSplats(stage, source, onProgress) {
    const { gsplat } = stage.app.scene;
    const { resource, isAntialiased } = await resourceOf(stage, source, onProgress);
    if (gsplat.antiAlias !== isAntialiased) gsplat.antiAlias = isAntialiased; // as they were trained
    const entity = new Entity(source.name);
    const layer = stage.newLayer(source.name);
    entity.addComponent("gsplat", { unified: true, layers: [layer.id] });
    entity.gsplat.resource = resource;
    stage.root.addChild(entity);
    const count = resource.gsplatData?.numSplats ?? resource.numSplats ?? source.count;
    return { ...source, entity, layer, visible: true, count: count || source.count, bounds: resource.aabb ?? null };
}

async function resourceOf(stage, source, onProgress) {
    const { app } = stage;
    const name = fileName(source.url);
    if (source.format === "lod") {
        app.scene.gsplat.lodUnderfillLimit = COARSER_MEANWHILE; // else nothing is shown until the finest is there
        const resource = await loaded(app, { url: source.url, filename: "lod-meta.json" }, name);
        return { resource, isAntialiased: true };
    }
    const buffer = await fetchBytes(source.url, source.bytes, onProgress);
    if (source.format === "splat") {
        const data = readSplat(buffer, name);
        data.reorderData();
        return { resource: new GSplatResource(app.graphicsDevice, data), isAntialiased: false };
    }
    const head = beginningOf(buffer, source.format, name);
    const contents = source.format === "ply" ? new Response(buffer) : buffer;
    const file = `scene.${source.format}`;
    const resource = await loaded(app, { url: file, filename: file, contents }, name);
    const isAntialiased = resource.gsplatData?.meta?.antialias ?? head.includes("comment antialiased\n");
    return { resource, isAntialiased };
}

/** A file's head; the engine's readers wait for ever for what is no file of theirs. */
function beginningOf(buffer, format, name) {
    const head = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 20_000)));
    const isRight = format === "ply" ? head.startsWith("ply") && head.includes("end_header") : head.startsWith("PK");
    if (!isRight) throw damaged(name, `it is no .${format} file`);
    if (format === "ply" && !/property float (f_dc_0|packed)|element chunk/.test(head)) {
        throw damaged(name, "its points are no Gaussians");
    }
    return head;
}

function loaded(app, file, name) {
    return new Promise((resolve, reject) => {
        const asset = new Asset(name, "gsplat", file);
        asset.once("load", () => resolve(asset.resource));
        asset.once("error", (error) => reject(damaged(name, String(error?.message ?? error))));
        app.assets.add(asset);
        app.assets.load(asset);
    });
}

function damaged(name, reason) {
    return new Problem(`${name} can not be shown: ${reason}.`, "The file may be damaged: write or publish it again.");
}
