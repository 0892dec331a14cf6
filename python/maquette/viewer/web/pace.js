/** How large the picture is drawn: smaller while the view moves, where drawing is slow. */

const SLOW_MS = 60; // a frame; more is felt as a jerk
const REST_MS = 250; // without a move
const COARSE = 0.5; // of width and height
const POLL_MS = 4;

export class Pace {
    /** @param {import("playcanvas").GraphicsDevice} device */
    constructor(device) {
        Object.assign(this, { device, gl: device.gl, ratio: 1, fence: null, begun: 0, finished: 0 });
        Object.assign(this, { isFirst: true, isSlow: false, isCoarse: false, beganMs: 0, movedMs: -Infinity });
    }

    /** The view has moved. */
    moved() {
        this.movedMs = performance.now();
    }

    get isMoving() {
        return performance.now() - this.movedMs < REST_MS;
    }

    /** Whether a picture is shown that has to be drawn again in its full size. */
    get isOwed() {
        return this.isCoarse && !(this.isSlow && this.isMoving);
    }

    /** Choose the size of the next frame. */
    choose() {
        this.isCoarse = this.isSlow && this.isMoving;
        this.device.maxPixelRatio = this.ratio * (this.isCoarse ? COARSE : 1);
    }

    /** A frame was handed to the graphics. */
    began() {
        this.isBusy;
        if (this.fence) this.gl.deleteSync(this.fence);
        this.fence = this.gl.fenceSync(this.gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
        this.gl.flush();
        this.begun += 1;
        this.beganMs = performance.now();
    }

    /** Whether the last frame is still being drawn. */
    get isBusy() {
        if (!this.fence) return false;
        if (this.gl.clientWaitSync(this.fence, 0, 0) === this.gl.TIMEOUT_EXPIRED) return true;
        this.gl.deleteSync(this.fence);
        this.fence = null;
        this.finished = this.begun;
        const fullMs = (performance.now() - this.beganMs) / (this.isCoarse ? COARSE * COARSE : 1);
        if (!this.isFirst) this.isSlow = fullMs > SLOW_MS; // the first ones compile their programs
        return false;
    }

    /** Resolves when what was handed to the graphics is drawn. */
    async settled() {
        const wanted = this.begun;
        while (this.isBusy && this.finished < wanted) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        this.isFirst = false;
    }
}
