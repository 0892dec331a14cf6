/** A link that holds the view, and the notes that are kept nowhere else. */

import { note } from "./overlay.js";

const PLACES = 6;

/** The address of this page with the view in it. */
export function linkOf(viewer, annotations) {
    const { now, mode, fov } = viewer.viewpoint;
    const target = viewer.frame.stored(now.target);
    const numbers = [...target, now.yaw, now.pitch, now.distance, fov];
    const fields = new URLSearchParams({ view: numbers.map((n) => Number(n.toPrecision(PLACES))).join(","), mode });
    const shown = viewer.entries.flatMap((entry, number) => (entry.state === "shown" ? [number] : []));
    fields.set("show", shown.join(","));
    const notes = annotations.stored(false);
    if (notes.length && !viewer.scene.annotationsUrl) fields.set("notes", JSON.stringify(notes));
    const address = new URL(location.href);
    address.hash = fields.toString();
    return address.href;
}

/** Bring back what a link holds; what it does not hold stays as it is. */
export async function applyLink(viewer, annotations) {
    const fields = new URLSearchParams(location.hash.slice(1));
    const numbers = (fields.get("view") ?? "").split(",").map(Number);
    if (numbers.length === 7 && numbers.every(Number.isFinite)) {
        const [x, y, z, yaw, pitch, distance, fov] = numbers;
        const { viewpoint } = viewer;
        if (["fly", "walk"].includes(fields.get("mode"))) await viewer.setMode(fields.get("mode"));
        viewpoint.goal = { target: viewer.frame.shown([x, y, z]), yaw, pitch, distance };
        viewpoint.fov = fov;
        viewpoint.now = { ...viewpoint.goal, target: viewpoint.goal.target.clone() };
        viewpoint.show();
    }
    for (const mark of notesOf(fields)) annotations.add(mark);
    if (fields.has("show")) {
        const wanted = fields.get("show").split(",").map(Number);
        for (const [number, entry] of viewer.entries.entries()) await viewer.show(entry, wanted.includes(number));
    }
}

function notesOf(fields) {
    try {
        const list = JSON.parse(fields.get("notes") ?? "[]");
        return list.filter((one) => Array.isArray(one.position) && one.position.every(Number.isFinite));
    } catch {
        return [];
    }
}

export async function copyLink(viewer, annotations) {
    const link = linkOf(viewer, annotations);
    history.replaceState(null, "", link);
    const isCopied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    note(isCopied ? "Link copied." : "The address line holds the link now.");
}
