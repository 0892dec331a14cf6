/** One scene on one stage: loads what is wanted, and holds what the tools work on. */

import { Vec3 } from "playcanvas";
import { Controls } from "./controls.js";
import { extentOf, startView, wholeView } from "./framing.js";
import { Plane, TriangleGround } from "./ground.js";
import { loadMesh, loadTriangles } from "./meshes.js";
import { hideLoading, note, showLoading } from "./overlay.js";
import { loadPoints } from "./points.js";
import { asProblem } from "./problems.js";
import { loadSplats } from "./splats.js";
import { Viewpoint } from "./viewpoint.js";

const LOADERS = { splat: loadSplats, mesh: loadMesh, points: loadPoints };
const EYE_SHARE = 0.05; // of the scene's diameter, where the manifest tells no walker's height

/** All that can be shown; the first is what the page opens with. */
export function sourcesOf(scene) {
    return [...scene.splats, ...scene.meshes, ...scene.points];
}

export class Viewer extends EventTarget {
    constructor(scene, frame, stage) {
        super();
        Object.assign(this, { scene, frame, stage });
        this.entries = sourcesOf(scene).map((source) => ({ source, item: null, state: "waiting", problem: null }));
        this.viewpoint = new Viewpoint((...placed) => {
            stage.place(...placed);
            this.dispatchEvent(new Event("moved"));
        });
        this.controls = new Controls(stage.canvas, this.viewpoint, {
            onClick: (x, y) => this.clicked(x, y),
            onDoubleClick: (x, y) => this.focus(x, y),
        });
        this.clickTaker = null;
        stage.app.on("update", (seconds) => {
            this.controls.update(seconds);
            this.viewpoint.update(seconds);
        });
    }

    /** Read the first thing, and look at it. */
    async open() {
        const [first] = this.entries;
        await this.read(first);
        if (first.problem) throw first.problem;
        this.extent = extentOf(this.scene, this.frame, this.stage.items);
        this.viewpoint.size = this.extent.radius;
        this.viewpoint.eyeHeight = this.eyeHeight();
        this.reset(true);
    }

    eyeHeight() {
        const { walk, groundHeight, up } = this.scene;
        const told = walk && groundHeight !== null
            ? new Vec3(walk.position).dot(new Vec3(up).normalize()) - groundHeight
            : 0;
        return told > 0 ? told : EYE_SHARE * 2 * this.extent.radius;
    }

    /** Read what a person asked for later, beside what is shown. */
    async load(entry) {
        await this.read(entry);
        if (entry.item) await this.stage.drawn();
        hideLoading();
    }

    async read(entry) {
        const { source } = entry;
        entry.state = "loading";
        this.changed();
        try {
            const say = (share) => showLoading(`Loading ${source.name}`, share);
            say(0);
            entry.item = await LOADERS[source.kind](this.stage, source, say);
            entry.state = "shown";
            this.stage.add(entry.item);
        } catch (error) {
            entry.problem = asProblem(error, source.name);
            entry.state = "failed";
        }
        this.changed();
    }

    /** Show or hide one of the manifest's things; loads it when it is first wanted. */
    async show(entry, isWanted) {
        if (entry.state === "failed") entry.state = "waiting";
        if (isWanted && entry.state === "waiting") {
            await this.load(entry);
            if (entry.problem && entry.state === "failed") note(`${entry.problem.message} ${entry.problem.hint}`);
            return;
        }
        if (!entry.item) return;
        entry.item.visible = isWanted;
        entry.state = isWanted ? "shown" : "hidden";
        this.stage.layout();
        this.changed();
    }

    changed() {
        this.dispatchEvent(new Event("changed"));
    }

    /** Back to the first view. */
    reset(isAtOnce = false) {
        const { position, target, fov } = startView(this.scene, this.frame, this.extent);
        this.viewpoint.setMode("orbit");
        this.viewpoint.look(position, target, { fov, isAtOnce });
    }

    /** Hold all that is there in view, from where the camera looks now. */
    frameAll() {
        const back = this.viewpoint.rotation.transformVector(new Vec3(0, 0, 1));
        const { width, height } = this.stage.size;
        const narrow = Math.min(1, width / height);
        const { position, target } = wholeView(
            { center: this.extent.center, radius: this.extent.radius / narrow }, this.viewpoint.fov, back,
        );
        this.viewpoint.setMode("orbit");
        this.viewpoint.look(position, target);
    }

    /** Look straight down, with the manifest's view where it has one. */
    fromAbove() {
        const { above } = this.scene;
        const { position, target } = above
            ? { position: this.frame.shown(above.position), target: this.frame.shown(above.lookAt) }
            : wholeView(this.extent, this.viewpoint.fov, new Vec3(0, 1, 0));
        this.viewpoint.setMode("orbit");
        this.viewpoint.look(position, target);
    }

    async setMode(mode) {
        if (mode === "walk") {
            await this.findGround();
            const { walk } = this.scene;
            const start = walk && this.frame.shown(walk.position);
            // Inside an object nothing is below: the walk begins under the present view then.
            if (start && this.viewpoint.ground.heightAt(start.x, start.z, start.y) !== null) {
                this.viewpoint.look(start, this.frame.shown(walk.lookAt), { isAtOnce: true });
            } else {
                this.viewpoint.lookAhead();
            }
        }
        this.viewpoint.setMode(mode);
    }

    async findGround() {
        if (this.viewpoint.ground) return;
        const { collisionUrl, groundHeight } = this.scene;
        try {
            const mesh = this.stage.items.find((item) => item.kind === "mesh");
            if (collisionUrl) this.viewpoint.ground = new TriangleGround(await loadTriangles(this.stage, collisionUrl));
            else if (mesh) this.viewpoint.ground = new TriangleGround(mesh.triangles());
        } catch (error) {
            note(`${error.message} Walking goes on a level plane.`);
        }
        const level = groundHeight ?? this.extent.center.y - this.extent.radius / 2;
        this.viewpoint.ground ??= new Plane(level);
    }

    clicked(x, y) {
        if (this.clickTaker) this.clickTaker(x, y);
        else this.dispatchEvent(new CustomEvent("click", { detail: { x, y } }));
    }

    /** Turn about what is under the pointer. */
    async focus(x, y) {
        const point = await this.pick?.(x, y);
        if (!point || this.clickTaker) return;
        const away = this.viewpoint.position.clone().sub(point);
        this.viewpoint.look(point.clone().add(away.mulScalar(0.6)), point);
    }
}
