/** Meshes as items of the stage: `.glb` in its own colours, or plain and lit. */

import { Asset, BoundingBox, Color, Mat4, Quat, StandardMaterial } from "playcanvas";
import { fetchBytes } from "./fetching.js";
import { Problem, fileName } from "./problems.js";

/** Load a mesh; `shading` is "colours" or "plain". */
export async function loadMesh(stage, source, onProgress) {
    const container = await readContainer(stage.app, source, onProgress);
    const entity = container.instantiateRenderEntity();
    const layer = stage.newLayer(source.name);
    const parts = entity.findComponents("render");
    const materials = new Map();
    for (const part of parts) {
        part.layers = [layer.id];
        for (const piece of part.meshInstances) materials.set(piece, coloured(piece));
    }
    if (source.matrix) {
        stage.root.addChild(entity);
        place(entity, source.matrix);
    } else {
        stage.app.root.addChild(entity); // glTF's frame is the page's: +y is up
    }
    const item = { ...source, entity, layer, visible: true, bounds: boundsOf(parts), triangles: () => triangles(parts) };
    item.shade = (shading) => {
        for (const [piece, own] of materials) piece.material = shading === "plain" ? plain() : own;
        stage.wake();
    };
    item.shade("colours");
    return item;
}

/** Read a .glb's triangles alone: three page-frame corners each, [9·N]. */
export async function loadTriangles(stage, url) {
    const container = await readContainer(stage.app, { url, name: fileName(url), bytes: 0 }, () => {});
    const entity = container.instantiateRenderEntity();
    const found = triangles(entity.findComponents("render"));
    entity.destroy();
    return found;
}

async function readContainer(app, source, onProgress) {
    const name = fileName(source.url);
    const contents = await fetchBytes(source.url, source.bytes, onProgress);
    if (contents.byteLength < 12 || new DataView(contents).getUint32(0, true) !== 0x46546c67) {
        throw new Problem(`${name} is no .glb file.`, "Write or publish it again.");
    }
    return new Promise((resolve, reject) => {
        const asset = new Asset(name, "container", { url: `${name}.glb`, filename: "mesh.glb", contents });
        asset.once("load", () => resolve(asset.resource));
        asset.once("error", (error) =>
            reject(new Problem(`${name} can not be shown: ${error}.`, "Write or publish it again.")),
        );
        app.assets.add(asset);
        app.assets.load(asset);
    });
}

/** The file's own colours, without light, as a photo shows them. */
function coloured(piece) {
    const material = piece.material.clone();
    const hasColors = piece.mesh.vertexBuffer.format.elements.some((element) => element.name === "COLOR");
    material.useLighting = false;
    material.useSkybox = false;
    material.emissive = material.diffuse.clone();
    material.emissiveMap = material.diffuseMap;
    material.emissiveVertexColor = hasColors;
    material.diffuse = Color.BLACK;
    material.diffuseMap = null;
    material.diffuseVertexColor = false;
    material.update();
    return material;
}

let plainMaterial = null;

function plain() {
    if (!plainMaterial) {
        plainMaterial = new StandardMaterial();
        plainMaterial.diffuse = new Color(0.72, 0.72, 0.7);
        plainMaterial.twoSidedLighting = true;
        plainMaterial.cull = 0;
        plainMaterial.update();
    }
    return plainMaterial;
}

/** Set an entity's place by a matrix, row by row. */
function place(entity, rows) {
    const matrix = new Mat4().set([...rows]).transpose();
    entity.setLocalPosition(matrix.getTranslation());
    entity.setLocalRotation(new Quat().setFromMat4(matrix));
    entity.setLocalScale(matrix.getScale());
}

function boundsOf(parts) {
    const box = new BoundingBox();
    const pieces = parts.flatMap((part) => part.meshInstances);
    pieces.forEach((piece, number) => (number ? box.add(piece.aabb) : box.copy(piece.aabb)));
    return box;
}

function triangles(parts) {
    const corners = [];
    for (const piece of parts.flatMap((part) => part.meshInstances)) {
        const positions = [];
        const indices = [];
        piece.mesh.getPositions(positions);
        piece.mesh.getIndices(indices);
        const m = piece.node.getWorldTransform().data;
        const order = indices.length ? indices : positions.map((_, number) => number).slice(0, positions.length / 3);
        const part = new Float32Array(order.length * 3);
        for (let corner = 0; corner < order.length; corner += 1) {
            const first = 3 * order[corner];
            const [x, y, z] = [positions[first], positions[first + 1], positions[first + 2]];
            for (let axis = 0; axis < 3; axis += 1) {
                part[3 * corner + axis] = m[axis] * x + m[4 + axis] * y + m[8 + axis] * z + m[12 + axis];
            }
        }
        corners.push(part);
    }
    const all = new Float32Array(corners.reduce((sum, part) => sum + part.length, 0));
    corners.reduce((offset, part) => (all.set(part, offset), offset + part.length), 0);
    return all;
}
