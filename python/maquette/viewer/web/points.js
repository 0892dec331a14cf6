/** Clouds of points as items of the stage. */

import {
    BoundingBox, Entity, Mesh, MeshInstance, PRIMITIVE_POINTS, SEMANTIC_COLOR, SEMANTIC_POSITION, ShaderMaterial,
} from "playcanvas";
import { fetchBytes } from "./fetching.js";
import { readPoints } from "./points_file.js";
import { fileName } from "./problems.js";

const VERTEX = `
    attribute vec3 vertex_position;
    attribute vec4 vertex_color;
    uniform mat4 matrix_model;
    uniform mat4 matrix_viewProjection;
    uniform float point_size_px;
    varying vec4 color;
    void main(void) {
        color = vertex_color;
        gl_Position = matrix_viewProjection * matrix_model * vec4(vertex_position, 1.0);
        gl_PointSize = point_size_px;
    }`;
const FRAGMENT = `
    precision highp float;
    varying vec4 color;
    void main(void) { gl_FragColor = color; }`;

export async function loadPoints(stage, source, onProgress) {
    const buffer = await fetchBytes(source.url, source.bytes, onProgress);
    const { positions, colors, count } = readPoints(buffer, fileName(source.url));
    const mesh = new Mesh(stage.app.graphicsDevice);
    mesh.setPositions(positions);
    mesh.setColors32(colors);
    mesh.update(PRIMITIVE_POINTS);
    const material = new ShaderMaterial({
        uniqueName: "points",
        vertexGLSL: VERTEX,
        fragmentGLSL: FRAGMENT,
        attributes: { vertex_position: SEMANTIC_POSITION, vertex_color: SEMANTIC_COLOR },
    });
    material.setParameter("point_size_px", 2);
    const layer = stage.newLayer(source.name);
    const entity = new Entity(source.name);
    entity.addComponent("render", { meshInstances: [new MeshInstance(mesh, material)], layers: [layer.id] });
    stage.root.addChild(entity);
    const bounds = new BoundingBox().copy(mesh.aabb);
    const resize = (size) => (material.setParameter("point_size_px", size), stage.wake());
    return { ...source, count, entity, layer, visible: true, bounds, resize };
}
