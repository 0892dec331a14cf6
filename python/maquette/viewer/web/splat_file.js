/** Reads `.splat`: 32 bytes a Gaussian, as antimatter15's viewer defined them. */

import { GSplatData } from "playcanvas";
import { Problem } from "./problems.js";

const ROW_BYTES = 32;
const SH_C0 = 0.28209479177387814; // of the constant spherical harmonic, 1 / (2 √π)
const NAMES = [
    "x", "y", "z", "scale_0", "scale_1", "scale_2", "f_dc_0", "f_dc_1", "f_dc_2", "opacity",
    "rot_0", "rot_1", "rot_2", "rot_3",
];

/**
 * A row: position and scale (3 float32 each), red, green, blue, opacity (uint8), rotation w, x, y, z
 * (uint8, 128 + 128·component).
 *
 * @param {ArrayBuffer} buffer
 * @param {string} name - For messages.
 */
export function readSplat(buffer, name) {
    const count = buffer.byteLength / ROW_BYTES;
    if (!Number.isInteger(count) || !count) {
        throw new Problem(`${name} is damaged: it does not hold whole splats.`, "Write or publish it again.");
    }
    const floats = new Float32Array(buffer);
    const bytes = new Uint8Array(buffer);
    const columns = Object.fromEntries(NAMES.map((column) => [column, new Float32Array(count)]));
    const put = NAMES.map((column) => columns[column]);
    for (let row = 0; row < count; row += 1) {
        const number = row * 8;
        const byte = row * ROW_BYTES + 24;
        for (let axis = 0; axis < 3; axis += 1) {
            put[axis][row] = floats[number + axis];
            put[3 + axis][row] = Math.log(Math.max(floats[number + 3 + axis], 1e-12));
            put[6 + axis][row] = (bytes[byte + axis] / 255 - 0.5) / SH_C0;
        }
        put[9][row] = logit(bytes[byte + 3] / 255);
        for (let part = 0; part < 4; part += 1) put[10 + part][row] = (bytes[byte + 4 + part] - 128) / 128;
    }
    const properties = NAMES.map((column) => ({
        type: "float", name: column, storage: columns[column], byteSize: 4,
    }));
    return new GSplatData([{ name: "vertex", count, properties }]);
}

function logit(share) {
    const inside = Math.min(Math.max(share, 1e-4), 1 - 1e-4);
    return Math.log(inside / (1 - inside));
}
