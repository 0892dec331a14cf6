/** Where the camera is and how it moves; the page's frame, +y up, lengths in scene units. */

import { Quat, Vec3 } from "playcanvas";

const DEGREES = 180 / Math.PI;
const STEEPEST = 89.5; // degrees
const WALKER_DOWN = 15; // degrees, at first
const EASE_S = 0.07; // time constant of turning and zooming
const FLY_SHARE = 0.25; // of the scene's size, a second
const WALK_SHARE = 0.4; // of the flying speed
const RUN = 3;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const STEP_SHARE = 0.5; // of the eye height: what a walker climbs

export class Viewpoint {
    /**
     * @param {(position: Vec3, rotation: Quat, fov: number, near: number, far: number) => void} place
     */
    constructor(place) {
        this.place = place;
        this.mode = "orbit";
        this.size = 1;
        this.eyeHeight = 0.1;
        this.ground = null;
        this.fov = 60;
        this.now = { target: new Vec3(), yaw: 0, pitch: 0, distance: 1 };
        this.goal = copied(this.now);
        this.onMode = () => {};
    }

    get rotation() {
        return new Quat().setFromEulerAngles(this.now.pitch, this.now.yaw, 0);
    }

    get position() {
        return this.eyeOf(this.now);
    }

    eyeOf({ target, yaw, pitch, distance }) {
        return target.clone().sub(forwardOf(yaw, pitch).mulScalar(distance));
    }

    /** Look from one point at another. */
    look(position, target, { fov = this.fov, isAtOnce = false } = {}) {
        const along = target.clone().sub(position);
        const distance = Math.max(along.length(), 1e-6);
        const yaw = Math.hypot(along.x, along.z) < 1e-6 * distance ? this.goal.yaw : Math.atan2(-along.x, -along.z) * DEGREES;
        const pitch = limited(Math.asin(along.y / distance) * DEGREES);
        this.fov = fov;
        this.goal = { target: target.clone(), yaw: near(yaw, this.now.yaw), pitch, distance };
        if (isAtOnce) this.now = copied(this.goal);
        this.show();
    }

    /** Change the way of moving: orbit, fly or walk. */
    setMode(mode) {
        this.now = copied(this.goal);
        this.mode = mode;
        if (mode !== "orbit") this.shorten();
        if (mode === "walk") this.stand();
        this.onMode(mode);
        this.show();
    }

    /** Flying and walking turn about the eye: what is looked at is near then. */
    shorten() {
        const eye = this.eyeOf(this.goal);
        this.goal.distance = Math.min(this.goal.distance, this.size);
        this.goal.target = eye.add(forwardOf(this.goal.yaw, this.goal.pitch).mulScalar(this.goal.distance));
        this.now = copied(this.goal);
    }

    /** Turn by degrees: about what is looked at in orbit, else about the eye. */
    turn(yaw, pitch) {
        if (this.mode === "orbit") {
            this.goal.yaw += yaw;
            this.goal.pitch = limited(this.goal.pitch + pitch);
        } else {
            const eye = this.position;
            this.goal.yaw += yaw;
            this.goal.pitch = limited(this.goal.pitch + pitch);
            this.standAt(eye);
        }
        this.show();
    }

    /** Move sideways with what is looked at; shares of the view's height. */
    pan(right, up) {
        const height = 2 * Math.tan(this.fov / 2 / DEGREES) * this.goal.distance;
        const turn = this.rotation;
        const step = turn.transformVector(new Vec3(right * height, up * height, 0));
        this.goal.target.add(step);
        this.now.target.add(step);
        this.show();
    }

    /** Go nearer (factor < 1) or away. */
    zoom(factor) {
        if (this.mode === "orbit") {
            this.goal.distance = Math.min(Math.max(this.goal.distance * factor, this.size * 1e-3), this.size * 20);
        } else {
            this.move(0, 0, -Math.log(factor), 0.4);
        }
        this.show();
    }

    /**
     * Move for a moment.
     *
     * @param {number} right - −1…1, as up and ahead.
     * @param {number} seconds
     */
    move(right, up, ahead, seconds, isRunning = false) {
        const walks = this.mode === "walk";
        const speed = this.size * FLY_SHARE * (walks ? WALK_SHARE : 1) * (isRunning ? RUN : 1);
        const turn = new Quat().setFromEulerAngles(0, this.goal.yaw, 0);
        const step = turn.transformVector(new Vec3(right, walks ? 0 : up, -ahead)).mulScalar(speed * seconds);
        const eye = this.eyeOf(this.goal);
        const moved = walks ? this.walked(eye, step) : eye.add(step);
        this.standAt(moved);
        this.show();
    }

    /** Where a walker comes: over the ground, along walls. */
    walked(eye, step) {
        if (!this.ground) return eye.add(step);
        const reach = this.eyeHeight * STEP_SHARE;
        for (const part of [step, new Vec3(step.x, 0, 0), new Vec3(0, 0, step.z)]) {
            const next = eye.clone().add(part);
            const height = this.ground.heightAt(next.x, next.z, eye.y);
            if (height === null || height > eye.y - this.eyeHeight + reach) continue;
            if (this.ground.isBlocked(eye, next, eye.y - this.eyeHeight + reach)) continue;
            next.y = height + this.eyeHeight;
            return next;
        }
        return eye;
    }

    /** From the same place, no more than a little downwards. */
    lookAhead() {
        const eye = this.eyeOf(this.goal);
        this.goal.pitch = Math.max(this.goal.pitch, -WALKER_DOWN);
        this.standAt(eye);
    }

    /** Put a walker onto the ground below, or the nearest above. */
    stand() {
        const eye = this.eyeOf(this.goal);
        const height = this.ground?.heightAt(eye.x, eye.z, eye.y) ?? this.ground?.nearestAbove(eye.x, eye.z, eye.y);
        if (height === null || height === undefined) return;
        eye.y = height + this.eyeHeight;
        this.standAt(eye);
    }

    standAt(eye) {
        const { yaw, pitch, distance } = this.goal;
        this.goal.target = eye.clone().add(forwardOf(yaw, pitch).mulScalar(distance));
        this.now = copied(this.goal);
    }

    /** Ease towards the goal; called each frame. */
    update(seconds) {
        const { now, goal } = this;
        const off = Math.max(
            Math.abs(goal.yaw - now.yaw),
            Math.abs(goal.pitch - now.pitch),
            (100 * goal.target.distance(now.target)) / this.size,
            100 * Math.abs(Math.log(goal.distance / now.distance)),
        );
        if (off === 0) return;
        const share = off < 0.02 || STILL.matches ? 1 : 1 - Math.exp(-seconds / EASE_S);
        if (share === 1) {
            this.now = copied(goal);
        } else {
            now.yaw += share * (goal.yaw - now.yaw);
            now.pitch += share * (goal.pitch - now.pitch);
            now.distance *= (goal.distance / now.distance) ** share;
            now.target.lerp(now.target, goal.target, share);
        }
        this.show();
    }

    show() {
        const reach = this.size * 4 + this.now.distance + this.now.target.length();
        const closest = Math.max(this.size * 1e-3, Math.min(this.now.distance, this.eyeHeight) * 0.02);
        this.place(this.position, this.rotation, this.fov, closest, reach);
    }
}

function copied({ target, yaw, pitch, distance }) {
    return { target: target.clone(), yaw, pitch, distance };
}

function forwardOf(yaw, pitch) {
    const [y, p] = [yaw / DEGREES, pitch / DEGREES];
    return new Vec3(-Math.sin(y) * Math.cos(p), Math.sin(p), -Math.cos(y) * Math.cos(p));
}

function limited(pitch) {
    return Math.min(Math.max(pitch, -STEEPEST), STEEPEST);
}

/** The same angle, less than half a turn from another. */
function near(angle, other) {
    return angle + 360 * Math.round((other - angle) / 360);
}
