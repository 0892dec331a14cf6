"""One picture of a mesh from where it was filmed: coloured rows, then the bare shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, vertex_normals
from maquette.recon.pictures.capture import Arc, Cameras, Manner, arc_of, manner_of
from maquette.recon.pictures.framing import Staged, axes, set_stage
from maquette.recon.pictures.occlusion import vertex_openness
from maquette.recon.pictures.rasterise import Materials, draw
from maquette.recon.pictures.viewpoints import Viewpoint, choose, views_of
from maquette.scene.color_space import linear_from_srgb
from maquette.scene.region import Region

TILE_PX = 380
_MOST_COLUMNS = 5
_GAP_PX = 4


def draw_sheet(
    mesh: TriangleMesh,
    region: Region,
    up: FloatArray,
    cameras: Cameras,
    told: Callable[[int, int], None] = lambda done, total: None,
    tile_px: int = TILE_PX,
) -> Image.Image:
    """Draw the contact sheet.

    Args:
        mesh: World units; colours make rows more.
        region: What the capture is about.
        up: World direction, [3] of length 1.
        cameras: World frame; they decide from where the mesh is shown.
        told: Called with (views done, views in all).
    """
    staged, viewpoints = plan(mesh, region, up, cameras)
    scene = RayScene(staged.mesh)
    normals = staged.mesh.normals
    normals = vertex_normals(staged.mesh) if normals is None else normals
    materials = Materials.of(
        normals,
        vertex_openness(staged.mesh, normals, scene),
        None if mesh.colors is None else linear_from_srgb(mesh.colors),
    )
    views = views_of(viewpoints, staged.mesh.vertices[staged.subject], tile_px)
    pictures: list[list[NDArray[np.uint8]]] = []
    for number, view in enumerate(views):
        pictures.append(draw(view, staged, scene, materials))
        told(number + 1, len(views))
    labels = [viewpoint.label for viewpoint in viewpoints]
    kinds = [[of_view[kind] for of_view in pictures] for kind in range(len(pictures[0]))]
    return lay_out(kinds, labels, tile_px)


def plan(
    mesh: TriangleMesh, region: Region, up: FloatArray, cameras: Cameras
) -> tuple[Staged, list[Viewpoint]]:
    """Set the stage, and choose from where it is shown; see `draw_sheet`."""
    manner = manner_of(cameras, region)
    center = np.asarray(region.center)
    if manner is Manner.FACING:  # what they look at is the stage's ground, be it a wall
        up = -cameras.axes.mean(axis=0)
    arc, front = _front(manner, cameras, up, center)
    whole = manner is not Manner.AROUND
    staged = set_stage(mesh, region, up, center + front, whole=whole, cameras=cameras)
    moved = cameras.moved(staged.rotation, staged.origin, staged.scale)
    subject = staged.mesh.vertices[staged.subject]
    return staged, choose(manner, moved, arc, subject)


def _front(
    manner: Manner, cameras: Cameras, up: FloatArray, center: FloatArray
) -> tuple[Arc, FloatArray]:
    """The arc that was filmed, and the direction of its front, [3], world frame.

    Where all look one way, the front is the side on which the lower edges of the photos lie.
    """
    turn = axes(up, cameras.eyes[0] - center)  # any azimuth 0 will do
    arc = arc_of((cameras.eyes - center) @ turn.T)
    if manner is Manner.FACING:
        return arc, cameras.world_from_cam[:, :3, 1].mean(axis=0)
    return arc, turn.T @ np.array([np.cos(arc.middle), np.sin(arc.middle), 0.0])


def lay_out(
    kinds: Sequence[Sequence[NDArray[np.uint8]]], labels: Sequence[str], size: int
) -> Image.Image:
    """Set tiles in rows, one kind of picture below the other, each with its label in the corner.

    Args:
        kinds: For each kind of picture one [size, size, 3] a view.
        labels: One a view.
    """
    count = len(labels)
    columns = count if count <= _MOST_COLUMNS else -(-count // -(-count // 4))
    rows = -(-count // columns)
    pitch = size + _GAP_PX
    shape = (columns * pitch + _GAP_PX, len(kinds) * rows * pitch + _GAP_PX)
    sheet = Image.new("RGB", shape, "white")
    pen = ImageDraw.Draw(sheet)
    for kind, pictures in enumerate(kinds):
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            row, column = divmod(number, columns)
            corner = (_GAP_PX + column * pitch, _GAP_PX + (kind * rows + row) * pitch)
            sheet.paste(Image.fromarray(picture), corner)
            _write_label(pen, (corner[0] + size // 32, corner[1] + size // 40), label, size)
    return sheet


def _write_label(pen: ImageDraw.ImageDraw, place: tuple[int, int], label: str, size: int) -> None:
    """Light letters with a dark outline, which can be read on any picture."""
    font = ImageFont.load_default(size=max(10, size // 22))
    room = size - 2 * (size // 32)
    while len(label) > 4 and pen.textlength(label, font) > room:
        label = "…" + label[2:]
    pen.text(place, label, "white", font, stroke_width=max(1, size // 190), stroke_fill="#202020")
