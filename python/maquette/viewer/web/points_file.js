/** Reads clouds of points: binary little-endian PLY with x y z and, perhaps, red green blue. */

import { Problem } from "./problems.js";

const READERS = {
    char: ["getInt8", 1], int8: ["getInt8", 1], uchar: ["getUint8", 1], uint8: ["getUint8", 1],
    short: ["getInt16", 2], int16: ["getInt16", 2], ushort: ["getUint16", 2], uint16: ["getUint16", 2],
    int: ["getInt32", 4], int32: ["getInt32", 4], uint: ["getUint32", 4], uint32: ["getUint32", 4],
    float: ["getFloat32", 4], float32: ["getFloat32", 4], double: ["getFloat64", 8], float64: ["getFloat64", 8],
};
const END = "end_header\n";

/**
 * @param {ArrayBuffer} buffer
 * @returns {{positions: Float32Array, colors: Uint8Array, count: number}} [3·N], [4·N]
 */
export function readPoints(buffer, name) {
    const head = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 8192)));
    const end = head.indexOf(END);
    if (!head.startsWith("ply") || end < 0) throw damaged(name, "it is no PLY file");
    if (!head.includes("format binary_little_endian")) throw damaged(name, "it is not binary, little-endian");
    const { count, rowBytes, columns } = readHead(head.slice(0, end), name);
    const begin = end + END.length;
    if (begin + count * rowBytes > buffer.byteLength) throw damaged(name, "it ends too early");
    const view = new DataView(buffer, begin);
    const positions = new Float32Array(3 * count);
    const colors = new Uint8Array(4 * count).fill(190);
    const place = ["x", "y", "z"].map((key) => columns[key]);
    const color = ["red", "green", "blue"].map((key) => columns[key]);
    for (let row = 0; row < count; row += 1) {
        const at = row * rowBytes;
        for (let axis = 0; axis < 3; axis += 1) {
            positions[3 * row + axis] = view[place[axis].read](at + place[axis].offset, true);
            if (color[axis]) colors[4 * row + axis] = view[color[axis].read](at + color[axis].offset, true);
        }
        colors[4 * row + 3] = 255;
    }
    return { positions, colors, count };
}

/** Columns of the element `vertex`, which must come first. */
function readHead(head, name) {
    const columns = {};
    let count = 0;
    let rowBytes = 0;
    let element = "";
    for (const line of head.split("\n")) {
        const [word, kind, value] = line.trim().split(/\s+/);
        if (word === "element") {
            element = kind;
            if (kind === "vertex") count = Number(value);
        } else if (word === "property" && element === "vertex") {
            const [read, bytes] = READERS[kind] ?? [];
            if (!read) throw damaged(name, `its columns hold ${kind}`);
            columns[value] = { read, offset: rowBytes };
            rowBytes += bytes;
        }
    }
    if (!count || !columns.x || !columns.y || !columns.z) throw damaged(name, "it holds no points");
    return { count, rowBytes, columns };
}

function damaged(name, reason) {
    return new Problem(`${name} can not be shown: ${reason}.`, "Write or publish it again.");
}
