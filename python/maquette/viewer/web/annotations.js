/** Numbered marks with a title and a text; new ones are saved where the manifest says, else in the link. */

import { note } from "./overlay.js";

export class Annotations {
    constructor(viewer, marks) {
        Object.assign(this, { viewer, marks, list: [], opened: null, onPlaced: () => {} });
        for (const one of viewer.scene.annotations) this.add(one, true);
    }

    /** The next click sets a mark. */
    start() {
        note("Click where the note belongs.");
        this.viewer.clickTaker = (x, y) => this.clicked(x, y);
    }

    stop() {
        this.viewer.clickTaker = null;
    }

    async clicked(x, y) {
        const point = await this.viewer.pick(x, y);
        if (!point) {
            note("There is nothing under the pointer.");
            return;
        }
        const mark = this.add({ title: "", text: "", position: this.viewer.frame.stored(point) });
        this.edit(mark, () => this.drop(mark));
        this.onPlaced();
    }

    /** Put a note; `isGiven` tells that the manifest holds it. */
    add({ title = "", text = "", position }, isGiven = false) {
        const button = document.createElement("button");
        const mark = { title, text, position, button, isGiven };
        this.list.push(mark);
        button.textContent = String(this.list.length);
        button.setAttribute("aria-label", title || `note ${this.list.length}`);
        button.onclick = () => this.toggle(mark);
        this.marks.put(button, this.viewer.frame.shown(position));
        return mark;
    }

    toggle(mark) {
        const isOpen = this.opened?.mark === mark;
        this.close();
        if (!isOpen) this.open(mark, this.textBox(mark));
    }

    textBox(mark) {
        const box = textBox(mark);
        if (mark.isGiven && !this.viewer.scene.annotationsUrl) return box; // published: only to be read
        const [change, remove] = [actionButton("Edit", "button"), actionButton("Remove", "button")];
        change.onclick = () => this.edit(mark, () => {});
        remove.onclick = () => {
            this.close();
            this.drop(mark);
            this.save();
        };
        box.append(change, remove);
        return box;
    }

    open(mark, element) {
        this.close();
        this.opened = { mark, element };
        this.marks.put(element, this.viewer.frame.shown(mark.position));
    }

    close() {
        if (this.opened) this.marks.remove(this.opened.element);
        this.opened = null;
    }

    /** Ask for title and text; `undo` is what happens when they are not kept. */
    edit(mark, undo) {
        const box = document.createElement("form");
        box.className = "text";
        const title = field("Title", mark.title);
        const text = field("Text", mark.text);
        const keep = actionButton("Keep", "submit");
        const cancel = actionButton("Cancel", "button");
        box.append(title, text, keep, cancel);
        cancel.onclick = () => {
            this.close();
            undo();
        };
        box.onkeydown = (event) => {
            if (event.key !== "Escape") return;
            event.stopPropagation();
            cancel.click();
        };
        box.onsubmit = (event) => {
            event.preventDefault();
            Object.assign(mark, { title: title.value, text: text.value });
            mark.button.setAttribute("aria-label", mark.title || `note ${mark.button.textContent}`);
            this.close();
            this.save();
        };
        this.open(mark, box);
        title.focus();
    }

    drop(mark) {
        this.marks.remove(mark.button);
        this.list = this.list.filter((one) => one !== mark);
        this.list.forEach((one, number) => (one.button.textContent = String(number + 1)));
    }

    /** Notes as a manifest holds them: all, or those that this one does not. */
    stored(isAll = true) {
        const wanted = this.list.filter((mark) => isAll || !mark.isGiven);
        return wanted.map(({ title, text, position }) => ({ title, text, position }));
    }

    async save() {
        const { annotationsUrl } = this.viewer.scene;
        if (!annotationsUrl) {
            note("Kept in this window; “Copy link” takes the notes along.");
            return;
        }
        const body = JSON.stringify({ annotations: this.stored() });
        const headers = { "content-type": "application/json" };
        const done = await fetch(annotationsUrl, { method: "PUT", body, headers }).catch(() => null);
        note(done?.ok ? "Saved." : "Saving failed: is the server that opened this page still running?");
    }
}

function textBox({ title, text }) {
    const box = document.createElement("div");
    box.className = "text";
    const head = document.createElement("strong");
    const body = document.createElement("p");
    head.textContent = title || "Note";
    body.textContent = text;
    box.append(head, body);
    return box;
}

function field(label, value) {
    const input = document.createElement("input");
    Object.assign(input, { placeholder: label, ariaLabel: label, value, maxLength: 400 });
    return input;
}

function actionButton(label, type) {
    const button = document.createElement("button");
    Object.assign(button, { type, textContent: label });
    return button;
}
