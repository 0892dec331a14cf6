"""One region, three places that show it: numbers in the panel, sphere and box in space."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy
import numpy as np

from maquette.errors import BadInput
from maquette.scene.region import Region

from . import session, viewport

_quiet = False


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let our own changes call nothing back."""
    global _quiet
    before, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = before


def set_region(scene: bpy.types.Scene, region: Region) -> None:
    """Make this the region, everywhere."""
    now = session.current()
    if now is not None:
        now.change(region=region)
        show_region(scene)


def set_cropped(scene: bpy.types.Scene, cropped: np.ndarray) -> None:
    """Hide these points [P] from now on."""
    now = session.current()
    if now is not None:
        now.change(cropped=cropped)
        scene.maquette.state = now.number


def go_back(scene: bpy.types.Scene) -> None:
    """Follow Blender's undo or redo, which already moved numbers and shapes."""
    now = session.current()
    if now is not None:
        now.go_back(scene.maquette.state)
        take_shapes(scene)  # a drag that Blender recorded before we saw it
    viewport.forget_batches()


def show_region(scene: bpy.types.Scene) -> None:
    """Bring numbers and shapes to the session's region."""
    now = session.current()
    if now is None:
        return
    region, settings, box = now.region, scene.maquette, np.asarray(now.region.box)
    settings.state = now.number
    with quietly():
        settings.center, settings.radius = region.center, region.radius
        settings.box_min, settings.box_max = box[:, 0], box[:, 1]
        _place(session.SPHERE, np.asarray(region.center), np.full(3, region.radius))
        _place(session.BOX, box.mean(axis=1), np.ptp(box, axis=1) / 2)
        for number, name in enumerate(session.LABELS):
            axis, end = divmod(number, 2)
            spot = box.mean(axis=1)
            spot[axis] = box[axis, end]
            _place(name, spot, np.full(3, 0.02 * region.radius))
    viewport.forget_batches()


def take_numbers(settings: bpy.types.PropertyGroup) -> None:
    """Read the region from the panel."""
    now = session.current()
    if _quiet or now is None:
        return
    box = np.asarray(now.region.box)
    low = session.exact(settings.box_min, box[:, 0])
    high = session.exact(settings.box_max, box[:, 1])
    center = session.exact(settings.center, now.region.center)
    radius = float(session.exact(settings.radius, now.region.radius))
    with contextlib.suppress(BadInput):  # while a number is being typed
        set_region(settings.id_data, Region.around(center, radius, np.stack([low, high], axis=1)))


def take_shapes(scene: bpy.types.Scene) -> None:
    """Read the region from sphere and box, when somebody dragged or scaled them."""
    now = session.current()
    sphere, box = session.find(session.SPHERE), session.find(session.BOX)
    if _quiet or now is None or sphere is None or box is None:
        return
    region, known = now.region, np.asarray(now.region.box)
    center = session.exact(sphere.location, region.center)
    radius = float(session.exact(np.abs(sphere.scale).max(), region.radius))
    if not np.allclose(sphere.scale, sphere.scale[0], rtol=1e-5):
        scales = np.abs(sphere.scale)  # scaled along one axis: a sphere stays a sphere
        radius = float(scales[np.argmax(np.abs(scales - region.radius))])
    middle = session.exact(box.location, known.mean(axis=1))
    half = session.exact(np.abs(box.scale), np.ptp(known, axis=1) / 2)
    moved = not (
        np.array_equal(middle, known.mean(axis=1))
        and np.array_equal(half, np.ptp(known, axis=1) / 2)
    )
    limits = np.stack([middle - half, middle + half], axis=1) if moved else known
    with contextlib.suppress(BadInput):  # scaled to nothing, on the way to somewhere
        changed = Region.around(center, radius, limits)
        if changed != region:
            set_region(scene, changed)


def is_quiet() -> bool:
    """Whether a change is our own."""
    return _quiet


def _place(name: str, location: np.ndarray, scale: np.ndarray) -> None:
    shape = session.find(name)
    if shape is not None:
        shape.location, shape.scale = location, scale
