/** The canvas: engine, cameras, layers; draws only when something has changed. */

import {
    AppBase,
    AppOptions,
    CameraComponentSystem,
    Color,
    ContainerHandler,
    Entity,
    GSplatComponentSystem,
    GSplatHandler,
    Layer,
    LightComponentSystem,
    RenderComponentSystem,
    TextureHandler,
    TONEMAP_NONE,
    Vec4,
    createGraphicsDevice,
} from "playcanvas";
import { Pace } from "./pace.js";
import { Problem } from "./problems.js";

export async function createStage(canvas, frame) {
    let device;
    try {
        device = await createGraphicsDevice(canvas, { deviceTypes: ["webgl2"], antialias: false });
    } catch {
        throw new Problem(
            "This browser has no WebGL2, which drawing needs.",
            "Switch hardware acceleration on, or open the page in a current Firefox, Chrome, Edge or Safari.",
        );
    }
    return new Stage(canvas, device, frame);
}

class Stage {
    constructor(canvas, device, frame) {
        this.canvas = canvas;
        this.app = startedApp(canvas, device);
        this.app.scene.gsplat.enableIds = true; // for picking; later it would lay out all splats again
        this.items = [];
        this.split = null;
        this.isStale = false;
        this.isUnsorted = false;
        this.isStreaming = false;
        this.root = new Entity("scene");
        this.root.setLocalRotation(frame.rotation);
        this.app.root.addChild(this.root);
        this.cameras = [this.newCamera(0), this.newCamera(1)];
        this.camera = this.cameras[0];
        this.pace = new Pace(device);
        this.followSplats();
        this.app.on("update", () => this.drawWhereDue());
        this.app.on("postrender", () => this.pace.began());
        new ResizeObserver(() => this.wake()).observe(canvas);
        this.layout();
    }

    newCamera(priority) {
        const entity = new Entity("camera");
        entity.addComponent("camera", { priority, toneMapping: TONEMAP_NONE, layers: [] });
        entity.camera.camera._scissorRectClear = true; // else the engine heeds no scissorRect
        this.app.root.addChild(entity);
        return entity;
    }

    /** One frame at a time: a change while it is drawn asks for another one. */
    drawWhereDue() {
        const isDue = this.isStale || this.isStreaming || this.pace.isOwed;
        if (!this.items.length || this.pace.isBusy || !isDue) return;
        this.pace.choose();
        this.isStale = false;
        this.app.renderNextFrame = true;
    }

    /** Splats are sorted by a worker: a frame is due when its answer has come. */
    followSplats() {
        const { gsplat } = this.app.systems;
        this.app.on("prerender", () => (this.isUnsorted = false));
        gsplat.on("frame:ready", (camera, layer, isSorted, loading) => {
            if (!isSorted) this.isUnsorted = true;
            this.isStreaming = loading > 0; // what has come is taken up while a frame is drawn
        });
        gsplat.on("frame:request", () => {
            if (!this.app.renderNextFrame) this.wake(); // else the frame that begins now shows it
        });
    }

    /** Draw the next frame. */
    wake() {
        this.isStale = true;
    }

    /** Whether a frame is still to be drawn. */
    get isDrawing() {
        return this.isStale || this.isUnsorted || this.isStreaming || this.pace.isOwed || this.pace.isBusy;
    }

    /** Resolves after a frame that shows what was added: splats are sorted by then. */
    async drawn() {
        this.wake();
        await new Promise((resolve) => {
            const look = () => {
                if (this.isUnsorted) return;
                this.app.off("postrender", look);
                resolve();
            };
            this.app.on("postrender", look);
        });
        await this.pace.settled();
    }

    /** A layer of its own for one thing that can be shown, hidden and compared. */
    newLayer(name) {
        const layer = new Layer({ name });
        const { layers } = this.app.scene;
        layers.insertOpaque(layer, this.items.length);
        layers.pushTransparent(layer);
        return layer;
    }

    /** Add something shown; `item` has `layer`, `entity` and whether it `visible` is. */
    add(item) {
        this.items.push(item);
        this.layout();
    }

    /** Compare two items: `share` of the width shows the first; null shows all that is visible. */
    compare(split) {
        this.split = split;
        this.layout();
    }

    /** Tell each camera what it draws, and where. */
    layout() {
        this.isStreaming = false; // what is hidden now tells nothing any more
        const [main, second] = this.cameras.map((entity) => entity.camera);
        const ids = (wanted) => this.items.filter(wanted).map((item) => item.layer.id);
        const { split } = this;
        const isExtra = (item) => item.kind === "extra" && item.visible;
        for (const item of this.items) {
            item.entity.enabled = item.visible || (split !== null && (item === split.left || item === split.right));
        }
        second.enabled = split !== null;
        if (split) {
            main.layers = ids((item) => item === split.left || isExtra(item));
            second.layers = ids((item) => item === split.right || isExtra(item));
            main.scissorRect = new Vec4(0, 0, split.share, 1);
            second.scissorRect = new Vec4(split.share, 0, 1 - split.share, 1);
        } else {
            main.layers = ids((item) => item.visible);
            main.scissorRect = new Vec4(0, 0, 1, 1);
        }
        this.wake();
    }

    /** Place both cameras. */
    place(position, rotation, fov, near, far) {
        this.pace.moved();
        for (const entity of this.cameras) {
            entity.setPosition(position);
            entity.setRotation(rotation);
            Object.assign(entity.camera, { fov, nearClip: near, farClip: far });
        }
        this.wake();
    }

    set background(hex) {
        for (const entity of this.cameras) entity.camera.clearColor = new Color().fromString(hex);
        this.wake();
    }

    /** Where a point of the page's frame is drawn, CSS pixels; `z` ≤ 0 is behind the camera. */
    project(point) {
        return this.camera.camera.worldToScreen(point);
    }

    get size() {
        return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    }
}

function startedApp(canvas, device) {
    const options = new AppOptions();
    options.graphicsDevice = device;
    options.componentSystems = [
        CameraComponentSystem, LightComponentSystem, RenderComponentSystem, GSplatComponentSystem,
    ];
    options.resourceHandlers = [TextureHandler, ContainerHandler, GSplatHandler];
    const app = new AppBase(canvas);
    app.init(options);
    app.setCanvasFillMode("NONE");
    app.setCanvasResolution("AUTO");
    app.autoRender = false;
    app.start();
    return app;
}
