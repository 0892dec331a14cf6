/** What a walker stands on: triangles in square columns, or a level plane. Page's frame, +y up. */

const CELLS = 96; // along the longer side

/** A level plane. */
export class Plane {
    constructor(height) {
        this.height = height;
    }

    heightAt() {
        return this.height;
    }

    nearestAbove() {
        return this.height;
    }

    isBlocked() {
        return false;
    }
}

export class TriangleGround {
    /** @param {Float32Array} corners - Three corners a triangle, [9·N]. */
    constructor(corners) {
        this.corners = corners;
        [this.low, this.high] = limits(corners);
        this.cell = Math.max(this.high[0] - this.low[0], this.high[1] - this.low[1], 1e-6) / CELLS;
        this.columns = new Map();
        for (let first = 0; first < corners.length; first += 9) {
            const xs = [corners[first], corners[first + 3], corners[first + 6]];
            const zs = [corners[first + 2], corners[first + 5], corners[first + 8]];
            const [x0, z0] = this.cellOf(Math.min(...xs), Math.min(...zs));
            const [x1, z1] = this.cellOf(Math.max(...xs), Math.max(...zs));
            for (let x = x0; x <= x1; x += 1) for (let z = z0; z <= z1; z += 1) this.put(x, z, first);
        }
    }

    cellOf(x, z) {
        return [Math.floor((x - this.low[0]) / this.cell), Math.floor((z - this.low[1]) / this.cell)];
    }

    put(x, z, triangle) {
        const key = x * 4096 + z;
        const column = this.columns.get(key);
        if (column) column.push(triangle);
        else this.columns.set(key, [triangle]);
    }

    column(x, z) {
        const [column, row] = this.cellOf(x, z);
        return this.columns.get(column * 4096 + row) ?? [];
    }

    heightsAt(x, z) {
        const heights = this.column(x, z).map((first) => heightOn(this.corners, first, x, z));
        return heights.filter((height) => height !== null);
    }

    /** The highest surface at a place that is not above `below`; null where there is none. */
    heightAt(x, z, below) {
        const heights = this.heightsAt(x, z).filter((height) => height <= below);
        return heights.length ? Math.max(...heights) : null;
    }

    /** The lowest surface at a place that is above `above`; null where there is none. */
    nearestAbove(x, z, above) {
        const heights = this.heightsAt(x, z).filter((height) => height > above);
        return heights.length ? Math.min(...heights) : null;
    }

    /** Whether a surface stands between two places at a height. */
    isBlocked(start, end, height) {
        const steps = Math.max(1, Math.ceil(Math.hypot(end.x - start.x, end.z - start.z) / (this.cell / 2)));
        const seen = new Set();
        for (let step = 0; step <= steps; step += 1) {
            const share = step / steps;
            const [x, z] = [start.x + share * (end.x - start.x), start.z + share * (end.z - start.z)];
            for (const first of this.column(x, z)) {
                if (seen.has(first)) continue;
                seen.add(first);
                if (crosses(this.corners, first, start, end, height)) return true;
            }
        }
        return false;
    }
}

function limits(corners) {
    const low = [Infinity, Infinity];
    const high = [-Infinity, -Infinity];
    for (let at = 0; at < corners.length; at += 3) {
        for (const [axis, value] of [[0, corners[at]], [1, corners[at + 2]]]) {
            low[axis] = Math.min(low[axis], value);
            high[axis] = Math.max(high[axis], value);
        }
    }
    return [low, high];
}

/** Height of a triangle above a place, by barycentric coordinates; null beside it. */
function heightOn(c, i, x, z) {
    const [ax, az, bx, bz] = [c[i + 3] - c[i], c[i + 5] - c[i + 2], c[i + 6] - c[i], c[i + 8] - c[i + 2]];
    const area = ax * bz - bx * az;
    if (Math.abs(area) < 1e-20) return null;
    const [px, pz] = [x - c[i], z - c[i + 2]];
    const u = (px * bz - bx * pz) / area;
    const v = (ax * pz - px * az) / area;
    if (u < -1e-6 || v < -1e-6 || u + v > 1 + 1e-6) return null;
    return c[i + 1] + u * (c[i + 4] - c[i + 1]) + v * (c[i + 7] - c[i + 1]);
}

/** Whether the level segment from start to end meets a triangle (Möller and Trumbore 1997). */
function crosses(c, i, start, end, height) {
    const [dx, dz] = [end.x - start.x, end.z - start.z];
    const [e1x, e1y, e1z] = [c[i + 3] - c[i], c[i + 4] - c[i + 1], c[i + 5] - c[i + 2]];
    const [e2x, e2y, e2z] = [c[i + 6] - c[i], c[i + 7] - c[i + 1], c[i + 8] - c[i + 2]];
    const [px, py, pz] = [-dz * e2y, dz * e2x - dx * e2z, dx * e2y];
    const determinant = e1x * px + e1y * py + e1z * pz;
    if (Math.abs(determinant) < 1e-20) return false;
    const [sx, sy, sz] = [start.x - c[i], height - c[i + 1], start.z - c[i + 2]];
    const u = (sx * px + sy * py + sz * pz) / determinant;
    if (u < 0 || u > 1) return false;
    const [qx, qy, qz] = [sy * e1z - sz * e1y, sz * e1x - sx * e1z, sx * e1y - sy * e1x];
    const v = (dx * qx + dz * qz) / determinant;
    if (v < 0 || u + v > 1) return false;
    const t = (e2x * qx + e2y * qy + e2z * qz) / determinant;
    return t >= 0 && t <= 1;
}
