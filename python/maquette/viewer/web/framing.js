/** The first view, and the view that holds everything. */

import { Vec3 } from "playcanvas";

const DEGREES = 180 / Math.PI;

/** Middle and radius of what is shown, page's frame. */
export function extentOf(scene, frame, items) {
    const shown = (point) => frame.shown(point);
    if (scene.bounds) {
        const [low, high] = [new Vec3(scene.bounds.min), new Vec3(scene.bounds.max)];
        const middle = low.clone().add(high).mulScalar(0.5);
        return { center: shown([middle.x, middle.y, middle.z]), radius: low.distance(high) / 2 || 1 };
    }
    const item = items.find((one) => one.bounds);
    if (item) {
        const local = item.bounds.center;
        const isPageFrame = item.kind === "mesh";
        const center = isPageFrame ? local.clone() : shown([local.x, local.y, local.z]);
        return { center, radius: item.bounds.halfExtents.length() || 1 };
    }
    if (scene.region) return regionOf(scene, frame);
    return { center: new Vec3(), radius: 1 };
}

function regionOf(scene, frame) {
    return { center: frame.shown(scene.region.sphere_center), radius: scene.region.sphere_radius || 1 };
}

/** Position, target and field of view of the first view. */
export function startView(scene, frame, extent) {
    if (scene.start) {
        const { position, lookAt, fov } = scene.start;
        return { position: frame.shown(position), target: frame.shown(lookAt), fov };
    }
    const aim = scene.region ? regionOf(scene, frame) : extent;
    return cameraView(scene.cameras, frame, aim) ?? wholeView(extent, 60);
}

/** As a photo saw it: the one whose axis passes the middle most closely. */
function cameraView(cameras, frame, aim) {
    let best = null;
    for (const camera of cameras) {
        const position = frame.shown(camera.position);
        const axis = frame.shown(camera.rotation.map((row) => row[2]));
        const along = aim.center.clone().sub(position).dot(axis);
        if (along <= 0) continue;
        const target = position.clone().add(axis.mulScalar(along));
        const off = target.distance(aim.center) / along;
        if (!best || off < best.off) {
            const fov = 2 * Math.atan(camera.height / 2 / camera.fl_y) * DEGREES;
            best = { position, target, off, fov: Math.min(Math.max(fov || 60, 25), 75) };
        }
    }
    return best;
}

/** A view from a little above that holds the whole extent. */
export function wholeView({ center, radius }, fov, direction = new Vec3(0.5, 0.45, 1)) {
    const distance = radius / Math.sin(fov / 2 / DEGREES);
    const position = center.clone().add(direction.clone().normalize().mulScalar(distance));
    return { position, target: center.clone(), fov };
}
