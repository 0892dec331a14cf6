/** Measures the distance between two clicked points. */

import { Vec3 } from "playcanvas";
import { note } from "./overlay.js";

export class Measuring {
    constructor(viewer, marks) {
        Object.assign(this, { viewer, marks, drawn: [], first: null, distance: null });
    }

    start() {
        this.clear();
        note("Click two points.");
        this.viewer.clickTaker = (x, y) => this.clicked(x, y);
    }

    stop() {
        this.clear();
        this.viewer.clickTaker = null;
    }

    clear() {
        this.drawn.forEach((element) => this.marks.remove(element));
        this.drawn = [];
        this.first = null;
    }

    async clicked(x, y) {
        const point = await this.viewer.pick(x, y);
        if (!point) {
            note("There is nothing under the pointer.");
        } else if (!this.first) {
            this.clear();
            this.first = point;
            this.drawn = [this.dot(point)];
        } else {
            this.finish(point);
        }
    }

    finish(point) {
        const { unit, unitsPerSceneUnit } = this.viewer.scene;
        this.distance = this.first.distance(point) * unitsPerSceneUnit;
        const label = document.createElement("b");
        label.textContent = `${said(this.distance)} ${unit}`;
        this.drawn.push(this.dot(point), this.marks.join(this.first, point), label);
        this.marks.put(label, new Vec3().lerp(this.first, point, 0.5));
        this.first = null;
    }

    dot(point) {
        return this.marks.join(point, point.clone().add(new Vec3(0, this.viewer.extent.radius * 0.004, 0)));
    }
}

function said(distance) {
    return Number(distance.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
}
