/** The photos' cameras as frustums; a click on one shows its photo. */

import { Color, Entity, Mesh, MeshInstance, PRIMITIVE_LINES, SEMANTIC_POSITION, ShaderMaterial } from "playcanvas";
import { fetchJson } from "./fetching.js";
import { camerasOf } from "./manifest.js";

const DEPTH_SHARE = 0.03; // of the scene's radius
const REACH_PX = 24; // of a click
const EDGES = [0, 1, 0, 2, 0, 3, 0, 4, 1, 2, 2, 3, 3, 4, 4, 1];
const VERTEX = `
    attribute vec3 vertex_position;
    uniform mat4 matrix_model;
    uniform mat4 matrix_viewProjection;
    void main(void) { gl_Position = matrix_viewProjection * matrix_model * vec4(vertex_position, 1.0); }`;
const FRAGMENT = `
    precision highp float;
    uniform vec3 line_color;
    void main(void) { gl_FragColor = vec4(line_color, 1.0); }`;

export class Cameras {
    constructor(viewer) {
        Object.assign(this, { viewer, list: viewer.scene.cameras, item: null });
        this.photo = document.getElementById("photo");
        this.photo.querySelector("button").onclick = () => (this.photo.hidden = true);
        viewer.addEventListener("click", ({ detail }) => this.clicked(detail.x, detail.y));
    }

    get isPossible() {
        return this.list.length > 0 || this.viewer.scene.camerasUrl !== "";
    }

    get isVisible() {
        return this.item?.visible ?? false;
    }

    async show(isWanted) {
        if (isWanted && !this.item) await this.build();
        if (this.item) this.item.visible = isWanted;
        if (!isWanted) this.photo.hidden = true;
        this.viewer.stage.layout();
    }

    async build() {
        const { scene, stage, extent } = this.viewer;
        if (scene.camerasUrl) {
            const json = await fetchJson(scene.camerasUrl);
            const address = (value) => (value ? new URL(value, scene.camerasUrl).href : "");
            this.list = camerasOf(json.cameras, address);
        }
        const depth = DEPTH_SHARE * extent.radius;
        const layer = stage.newLayer("cameras");
        const entity = new Entity("cameras");
        const mesh = new Mesh(stage.app.graphicsDevice);
        mesh.setPositions(this.list.flatMap((camera) => corners(camera, depth)));
        mesh.setIndices(this.list.flatMap((_, number) => EDGES.map((corner) => 5 * number + corner)));
        mesh.update(PRIMITIVE_LINES);
        const instance = new MeshInstance(mesh, lineMaterial());
        entity.addComponent("render", { meshInstances: [instance], layers: [layer.id] });
        stage.root.addChild(entity);
        this.item = { kind: "extra", entity, layer, visible: true };
        stage.add(this.item);
    }

    clicked(x, y) {
        if (!this.isVisible) return;
        const { stage, frame } = this.viewer;
        let best = null;
        for (const camera of this.list) {
            const at = stage.project(frame.shown(camera.position));
            const off = Math.hypot(at.x - x, at.y - y);
            if (at.z > 0 && off < REACH_PX && (!best || off < best.off)) best = { camera, off };
        }
        if (best) this.open(best.camera);
    }

    /** Show a photo, and look from where it was taken. */
    open(camera) {
        const { frame, viewpoint, extent } = this.viewer;
        const eye = frame.shown(camera.position);
        const axis = frame.shown(camera.rotation.map((row) => row[2]));
        const along = Math.max(extent.center.clone().sub(eye).dot(axis), 0.2 * extent.radius);
        viewpoint.setMode("orbit");
        viewpoint.look(eye, eye.clone().add(axis.mulScalar(along)));
        const picture = camera.photo || camera.thumbnail;
        const image = this.photo.querySelector("img");
        image.hidden = !picture;
        if (picture) image.src = picture;
        this.photo.querySelector("figcaption").textContent = camera.name ?? "photo";
        this.photo.hidden = false;
    }
}

/** Centre and four corners of a frustum in the scene's frame, 15 numbers. */
function corners({ position, rotation, width, height, fl_x: fx, fl_y: fy, cx, cy }, depth) {
    const at = (u, v) => {
        const local = [((u - cx) / fx) * depth, ((v - cy) / fy) * depth, depth];
        return rotation.map((row, axis) => position[axis] + row[0] * local[0] + row[1] * local[1] + row[2] * local[2]);
    };
    return [...position, ...at(0, 0), ...at(width, 0), ...at(width, height), ...at(0, height)];
}

function lineMaterial() {
    const material = new ShaderMaterial({
        uniqueName: "lines", vertexGLSL: VERTEX, fragmentGLSL: FRAGMENT,
        attributes: { vertex_position: SEMANTIC_POSITION },
    });
    const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    const { r, g, b } = new Color().fromString(accent);
    material.setParameter("line_color", [r, g, b]);
    return material;
}
