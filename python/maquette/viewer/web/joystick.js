/** A stick for the thumb that moves a flyer or walker. */

export function addJoystick(element, controls) {
    const knob = element.firstElementChild;
    let pointer = null;
    const set = (x, y) => {
        controls.stick = [x, y];
        knob.style.transform = `translate(${x * 28}px, ${y * 28}px)`;
    };
    element.addEventListener("pointerdown", (event) => {
        pointer = event.pointerId;
        element.setPointerCapture(pointer);
        moved(event);
    });
    element.addEventListener("pointermove", moved);
    for (const name of ["pointerup", "pointercancel"]) {
        element.addEventListener(name, () => {
            pointer = null;
            set(0, 0);
        });
    }

    function moved(event) {
        if (event.pointerId !== pointer) return;
        const box = element.getBoundingClientRect();
        const x = (event.clientX - box.left - box.width / 2) / (box.width / 2);
        const y = (event.clientY - box.top - box.height / 2) / (box.height / 2);
        const length = Math.max(1, Math.hypot(x, y));
        set(x / length, y / length);
    }
}
