/** Mouse, touch and keyboard on the canvas, handed to the viewpoint. */

const TURN_DEGREES = 0.25; // a CSS pixel
const CLICK_PX = 5;
const KEYS = {
    KeyW: [0, 0, 1], ArrowUp: [0, 0, 1], KeyS: [0, 0, -1], ArrowDown: [0, 0, -1],
    KeyA: [-1, 0, 0], ArrowLeft: [-1, 0, 0], KeyD: [1, 0, 0], ArrowRight: [1, 0, 0],
    KeyE: [0, 1, 0], KeyQ: [0, -1, 0],
};

export class Controls {
    /**
     * @param {HTMLElement} canvas
     * @param {Viewpoint} viewpoint
     * @param {{onClick: Function, onDoubleClick: Function}} answers - Called with CSS pixels.
     */
    constructor(canvas, viewpoint, answers) {
        Object.assign(this, { canvas, viewpoint, answers });
        this.held = new Set();
        this.stick = [0, 0];
        this.pointers = new Map();
        this.travelled = 0;
        const on = (name, handler, options) => canvas.addEventListener(name, handler, options);
        on("pointerdown", (event) => this.down(event));
        on("pointermove", (event) => this.moved(event));
        on("pointerup", (event) => this.up(event));
        on("pointercancel", (event) => this.pointers.delete(event.pointerId));
        on("dblclick", (event) => answers.onDoubleClick(event.offsetX, event.offsetY));
        on("contextmenu", (event) => event.preventDefault());
        on("wheel", (event) => this.wheel(event), { passive: false });
        addEventListener("keydown", (event) => this.key(event, true));
        addEventListener("keyup", (event) => this.key(event, false));
        addEventListener("blur", () => this.held.clear());
    }

    down(event) {
        this.canvas.setPointerCapture(event.pointerId);
        document.activeElement?.blur();
        if (!this.pointers.size) this.travelled = 0;
        this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    }

    moved(event) {
        const last = this.pointers.get(event.pointerId);
        if (!last) return;
        const [dx, dy] = [event.offsetX - last.x, event.offsetY - last.y];
        const before = this.spread();
        Object.assign(last, { x: event.offsetX, y: event.offsetY });
        this.travelled += Math.hypot(dx, dy);
        if (this.pointers.size >= 2) this.pinched(dx, dy, before);
        else if (event.buttons & 6 || event.shiftKey) this.panned(dx, dy);
        else this.viewpoint.turn(-dx * TURN_DEGREES, -dy * TURN_DEGREES);
    }

    /** Two fingers: their distance zooms, their middle pans; each finger brings half of it. */
    pinched(dx, dy, before) {
        this.panned(dx / 2, dy / 2);
        const after = this.spread();
        if (before > 10 && after > 10) this.viewpoint.zoom(before / after);
    }

    panned(dx, dy) {
        const height = this.canvas.clientHeight;
        this.viewpoint.pan(-dx / height, dy / height);
    }

    spread() {
        const [a, b] = [...this.pointers.values()];
        return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
    }

    up(event) {
        this.pointers.delete(event.pointerId);
        if (this.travelled < CLICK_PX && event.button === 0) this.answers.onClick(event.offsetX, event.offsetY);
    }

    wheel(event) {
        event.preventDefault();
        const lines = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
        this.viewpoint.zoom(Math.exp(Math.max(-200, Math.min(200, lines)) * 0.0015));
    }

    key(event, isDown) {
        if (isDown && (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey)) return;
        this.isRunning = event.shiftKey;
        if (!(event.code in KEYS)) return;
        event.preventDefault();
        if (isDown) this.held.add(event.code);
        else this.held.delete(event.code);
    }

    /** Move by what is held; called each frame. */
    update(seconds) {
        let [right, up, ahead] = [this.stick[0], 0, -this.stick[1]];
        for (const code of this.held) {
            right += KEYS[code][0];
            up += KEYS[code][1];
            ahead += KEYS[code][2];
        }
        const length = Math.max(1, Math.hypot(right, up, ahead));
        if (right || up || ahead) {
            this.viewpoint.move(right / length, up / length, ahead / length, Math.min(seconds, 0.1), this.isRunning);
        }
    }
}

/** Whether a key belongs to a field and not to the picture. */
export function isTyping(element) {
    return Boolean(element.matches?.('input:not([type="checkbox"]), textarea, select'));
}
