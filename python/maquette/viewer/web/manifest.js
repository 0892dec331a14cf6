/** Reads a manifest (docs/manifest.md) into what the page shows, with absolute addresses. */

import { Problem, fileName } from "./problems.js";

const NEWEST_VERSION = 1;
const FORMATS = ["lod", "sog", "splat", "ply"];

/**
 * @param {object} json - As it was read.
 * @param {string} base - The manifest's own address.
 * @returns {object} What to show; vectors are arrays in the scene's frame.
 */
export function readManifest(json, base) {
    if (json === null || typeof json !== "object" || Array.isArray(json)) {
        throw new Problem(`${fileName(base)} is no manifest.`, "manifest= must name a scene's manifest.json.");
    }
    const version = json.schema_version ?? 1;
    if (!(version <= NEWEST_VERSION)) {
        throw new Problem(
            `${fileName(base)} is of version ${version}; this page reads versions up to ${NEWEST_VERSION}.`,
            "Open it with a newer maquette.",
        );
    }
    const address = (value) => (typeof value === "string" && value ? new URL(value, base).href : "");
    const scene = {
        ...texts(json, base),
        splats: splatsOf(json, address),
        meshes: named(json.meshes, address, "mesh"),
        points: named(json.points, address, "points"),
        cameras: camerasOf(json.cameras, address),
        camerasUrl: address(json.cameras_url),
        collisionUrl: address(json.collision_url),
        picture: address(json.picture),
        annotations: listOf(json.annotations).filter((mark) => isVector(mark.position)),
        annotationsUrl: address(json.annotations_url),
        up: isVector(json.up) ? json.up : [0, -1, 0],
        bounds: boundsOf(json.scene_bounds),
        region: isVector(json.region?.sphere_center) ? json.region : null,
        groundHeight: Number.isFinite(json.ground_height) ? json.ground_height : null,
        start: viewOf(json.start_view),
        above: viewOf(json.camera_defaults),
        walk: viewOf(json.walk_camera_defaults),
        canWalk: Boolean(json.collision_url) || listOf(json.viewer_modes).includes("walk"),
        unitsPerSceneUnit: json.unit && json.units_per_scene_unit > 0 ? json.units_per_scene_unit : 1,
        unit: json.unit && json.units_per_scene_unit > 0 ? String(json.unit) : "units",
    };
    if (!scene.splats.length && !scene.meshes.length && !scene.points.length) {
        throw new Problem(
            `${fileName(base)} names nothing to show: no splat, no mesh, no points.`,
            "Write it again with `make extract` or `make publish`.",
        );
    }
    return scene;
}

function texts(json, base) {
    const parts = new URL(base).pathname.split("/");
    return {
        title: String(json.title || decodeURIComponent(parts[parts.length - 2] || "scene")),
        description: String(json.description || ""),
        license: String(json.license || ""),
        statement: String(json.provenance?.statement || ""),
        background: /^#[0-9a-f]{6}$/i.test(json.background) ? json.background : "",
    };
}

function splatsOf(json, address) {
    const formats = { ...json.formats };
    if (!Object.keys(formats).length && json.splat_url) {
        const ending = fileName(json.splat_url).split(".").pop().toLowerCase();
        formats[FORMATS.includes(ending) ? ending : "splat"] = json.splat_url;
    }
    const order = [json.best_format, ...FORMATS];
    const format = order.find((name) => FORMATS.includes(name) && formats[name]);
    if (!format) return [];
    const bytes = json.size_bytes?.[format] || 0;
    return [{ kind: "splat", name: "splats", format, url: address(formats[format]), bytes, count: json.splats || 0 }];
}

function named(list, address, kind) {
    return listOf(list)
        .filter((item) => item.url)
        .map((item) => ({
            kind,
            name: String(item.name || fileName(item.url)),
            url: address(item.url),
            bytes: item.size_bytes || 0,
            count: item.count ?? item.faces ?? 0,
            matrix: listOf(item.scene_from_gltf).length === 16 ? item.scene_from_gltf : null,
        }));
}

/** Cameras of a manifest or of a file of its own, with absolute addresses. */
export function camerasOf(list, address) {
    return listOf(list)
        .filter((one) => isVector(one.position) && Array.isArray(one.rotation))
        .map((one) => ({ ...one, thumbnail: address(one.thumbnail), photo: address(one.photo) }));
}

function viewOf(view) {
    if (!isVector(view?.position) || !isVector(view?.look_at)) return null;
    return { position: view.position, lookAt: view.look_at, fov: view.fov_degrees || 60 };
}

function boundsOf(bounds) {
    return isVector(bounds?.min) && isVector(bounds?.max) ? { min: bounds.min, max: bounds.max } : null;
}

function isVector(value) {
    return Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
}

function listOf(value) {
    return Array.isArray(value) ? value : [];
}
