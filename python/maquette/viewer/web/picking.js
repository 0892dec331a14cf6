/** What point of the scene lies under a pixel. */

import { Picker } from "playcanvas";

export class ScenePicker {
    constructor(stage) {
        this.stage = stage;
        this.picker = new Picker(stage.app, 1, 1, true);
    }

    /** The point, page's frame, at CSS pixels; null where there is nothing. */
    async point(x, y) {
        const { app, items, split, size } = this.stage;
        const isRight = split !== null && x > split.share * size.width;
        const camera = this.stage.cameras[isRight ? 1 : 0].camera;
        const layers = items
            .filter((item) => item.kind !== "extra" && camera.layers.includes(item.layer.id))
            .map((item) => item.layer);
        this.picker.resize(size.width, size.height);
        this.picker.prepare(camera, app.scene, layers);
        const point = await this.picker.getWorldPointAsync(x, y);
        this.stage.wake();
        return point;
    }
}
