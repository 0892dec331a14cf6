/** Two things of the scene side by side, with a bar that moves their border. */

import { note } from "./overlay.js";

const STEP = 0.02; // of the width, a press of an arrow

export class Comparing {
    constructor(viewer) {
        Object.assign(this, { viewer, share: 0.5, left: null, right: null, isOn: false });
        this.bar = document.getElementById("split");
        this.labels = [0, 1].map(() => document.createElement("span"));
        this.bar.append(...this.labels);
        this.bar.addEventListener("pointerdown", (event) => this.bar.setPointerCapture(event.pointerId));
        this.bar.addEventListener("pointermove", (event) => {
            if (event.buttons) this.move(event.clientX / innerWidth);
        });
        this.bar.addEventListener("keydown", (event) => this.key(event));
        [this.left, this.right] = pair(viewer.entries);
    }

    /** What can be compared: the scene needs two things. */
    get isPossible() {
        return this.right !== undefined;
    }

    async start() {
        for (const entry of [this.left, this.right]) {
            if (entry.item) continue;
            await this.viewer.load(entry);
            if (!entry.item) {
                note(entry.problem.message);
                entry.state = "waiting";
                return false;
            }
            entry.item.visible = false;
            entry.state = "hidden";
        }
        this.isOn = true;
        this.bar.hidden = false;
        this.viewer.changed();
        this.move(this.share);
        return true;
    }

    stop() {
        this.isOn = false;
        this.bar.hidden = true;
        this.viewer.stage.compare(null);
    }

    async choose(side, entry) {
        this[side] = entry;
        if (this.isOn) await this.start();
    }

    key(event) {
        const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation(); // else it would move a flyer too
        this.move(this.share + step);
    }

    move(share) {
        this.share = Math.min(Math.max(share, 0.02), 0.98);
        this.bar.style.left = `${100 * this.share}%`;
        this.bar.setAttribute("aria-valuenow", String(Math.round(100 * this.share)));
        this.labels[0].textContent = this.left.source.name;
        this.labels[1].textContent = this.right.source.name;
        this.viewer.stage.compare({ left: this.left.item, right: this.right.item, share: this.share });
    }
}

/** The first two kinds that differ, else the first two. */
function pair(entries) {
    const [first] = entries;
    return [first, entries.find((entry) => entry.source.kind !== first.source.kind) ?? entries[1]];
}
