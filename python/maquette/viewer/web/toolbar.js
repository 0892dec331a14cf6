/** A row of buttons, each with a key. */

import { isTyping } from "./controls.js";
import { icon } from "./icons.js";

export class Toolbar {
    constructor() {
        this.element = document.getElementById("toolbar");
        this.element.hidden = false;
        this.buttons = new Map();
        this.keys = new Map();
        this.onEscape = () => {};
        addEventListener("keydown", (event) => this.key(event));
    }

    add(name, label, key, act) {
        const button = document.createElement("button");
        button.append(icon(name));
        button.title = `${label} (${key})`;
        button.setAttribute("aria-label", label);
        button.onclick = (event) => {
            if (event.detail) button.blur(); // clicked by a pointer: the next key is for the picture
            act();
        };
        this.element.append(button);
        this.buttons.set(name, button);
        this.keys.set(key.toLowerCase(), act);
    }

    divide() {
        this.element.append(document.createElement("hr"));
    }

    press(name, isPressed) {
        this.buttons.get(name)?.setAttribute("aria-pressed", String(isPressed));
    }

    isPressed(name) {
        return this.buttons.get(name)?.getAttribute("aria-pressed") === "true";
    }

    key(event) {
        if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === "Enter" && event.target.closest?.("button, a, label")) return; // presses that
        if (event.key === "Escape") this.onEscape();
        else if (!event.repeat) this.keys.get(event.key.toLowerCase())?.();
    }
}
