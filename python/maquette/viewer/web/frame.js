/** The turn from the scene's frame to the page's, where +y is up. */

import { Mat4, Quat, Vec3 } from "playcanvas";

export class Frame {
    /** @param {number[]} up - The scene's direction that is up, [3]. */
    constructor(up) {
        this.rotation = turnToY(new Vec3(up).normalize());
        this.inverse = this.rotation.clone().invert();
    }

    /** A scene's point in the page's frame. */
    shown([x, y, z]) {
        return this.rotation.transformVector(new Vec3(x, y, z));
    }

    /** A point of the page's frame in the scene's, [3]. */
    stored(point) {
        const { x, y, z } = this.inverse.transformVector(point);
        return [x, y, z].map((value) => Number(value.toPrecision(7)));
    }

    /** The matrix of the turn. */
    matrix() {
        return new Mat4().setTRS(Vec3.ZERO, this.rotation, Vec3.ONE);
    }
}

/** The smallest rotation that takes a unit vector to +y; half a turn about z from −y. */
function turnToY(up) {
    if (up.y < -1 + 1e-9) return new Quat(0, 0, 1, 0);
    const axis = new Vec3().cross(up, Vec3.UP);
    return new Quat(axis.x, axis.y, axis.z, 1 + up.y).normalize();
}
