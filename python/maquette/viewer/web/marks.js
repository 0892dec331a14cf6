/** Marks drawn over the picture at places of the scene; they follow the camera. */

const SVG = "http://www.w3.org/2000/svg";

export class Marks {
    constructor(viewer) {
        this.viewer = viewer;
        this.parent = document.getElementById("marks");
        this.lines = document.createElementNS(SVG, "svg");
        this.parent.append(this.lines);
        this.placed = new Map();
        this.joined = new Map();
        viewer.addEventListener("moved", () => this.update());
        addEventListener("resize", () => requestAnimationFrame(() => this.update()));
    }

    /** Keep an element at a point of the page's frame. */
    put(element, point) {
        this.parent.append(element);
        this.placed.set(element, point);
        this.update();
    }

    /** Draw a line between two points; returns it, to be removed. */
    join(start, end) {
        const line = document.createElementNS(SVG, "line");
        this.lines.append(line);
        this.joined.set(line, [start, end]);
        this.update();
        return line;
    }

    remove(element) {
        element.remove();
        this.placed.delete(element);
        this.joined.delete(element);
    }

    update() {
        const { stage } = this.viewer;
        for (const [element, point] of this.placed) {
            const at = stage.project(point);
            element.style.display = at.z > 0 ? "" : "none";
            element.classList.toggle("flipped", at.x > stage.size.width / 2); // boxes open towards the middle
            element.style.left = `${at.x}px`;
            element.style.top = `${at.y}px`;
        }
        for (const [line, ends] of this.joined) {
            const [a, b] = ends.map((point) => stage.project(point));
            line.style.display = a.z > 0 && b.z > 0 ? "" : "none";
            for (const [name, value] of [["x1", a.x], ["y1", a.y], ["x2", b.x], ["y2", b.y]]) {
                line.setAttribute(name, value);
            }
        }
    }
}
