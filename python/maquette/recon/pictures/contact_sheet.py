"""One picture of a mesh from eight sides: coloured rows, then the bare shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, vertex_normals
from maquette.recon.pictures.framing import Staged, set_stage
from maquette.recon.pictures.occlusion import vertex_openness
from maquette.recon.pictures.rasterise import Materials, View, draw
from maquette.scene.color_space import linear_from_srgb
from maquette.scene.region import Region

AZIMUTHS_DEG = (0, 45, 90, 135, 180, 225, 270, 315)
ELEVATION_DEG = 25.0
TILE_PX = 380
_COLUMNS = 4
_GAP_PX = 4
_DISTANCE = 5.0  # focus radii
_MARGIN = 1.1
_MAX_FRAMING_POINTS = 20_000


def draw_sheet(
    mesh: TriangleMesh,
    region: Region,
    up: FloatArray,
    front: FloatArray,
    told: Callable[[int, int], None] = lambda done, total: None,
    tile_px: int = TILE_PX,
) -> Image.Image:
    """Draw the contact sheet.

    Args:
        mesh: World units; colours make two more rows.
        region: Tells where the middle of interest is.
        up: World direction, [3].
        front: World point on the side that 0° shows, [3].
        told: Called with (views done, views in all).
    """
    staged = set_stage(mesh, region, up, front)
    scene = RayScene(staged.mesh)
    normals = staged.mesh.normals
    normals = vertex_normals(staged.mesh) if normals is None else normals
    materials = Materials.of(
        normals,
        vertex_openness(staged.mesh, normals, scene),
        None if mesh.colors is None else linear_from_srgb(mesh.colors),
    )
    rows: list[list[NDArray[np.uint8]]] = []
    for number, view in enumerate(orbit_views(staged, tile_px)):
        rows.append(draw(view, staged, scene, materials))
        told(number + 1, len(AZIMUTHS_DEG))
    tiles = [pictures[kind] for kind in range(len(rows[0])) for pictures in rows]
    return _lay_out(tiles, tile_px)


def orbit_views(staged: Staged, size: int) -> list[View]:
    """Eight cameras round the subject, with one common zoom that just shows all of it."""
    points = staged.mesh.vertices[staged.subject]
    points = points[:: max(1, len(points) // _MAX_FRAMING_POINTS)]
    poses = [_pose(azimuth) for azimuth in AZIMUTHS_DEG]
    seen = np.stack([(points - eye) @ rotation for rotation, eye in poses])  # [8, N, 3]
    flat = seen[..., :2] / seen[..., 2:]
    low, high = np.percentile(flat, [0.2, 99.8], axis=1)  # [8, 2] each
    shift = 0.5 * float(low[:, 1].min() + high[:, 1].max())
    tangent = max(
        float(np.abs([low[:, 0], high[:, 0]]).max()),
        0.5 * float(high[:, 1].max() - low[:, 1].min()),
    )
    return [View(rotation, eye, tangent * _MARGIN, shift, size) for rotation, eye in poses]


def _pose(azimuth_deg: float) -> tuple[FloatArray, FloatArray]:
    """Rotation (stage from camera) and eye of a camera that looks at the origin."""
    azimuth, elevation = np.radians([azimuth_deg, ELEVATION_DEG])
    back = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.stack([right, np.cross(-back, right), -back], axis=1), _DISTANCE * back


def _lay_out(tiles: list[NDArray[np.uint8]], size: int) -> Image.Image:
    """Set tiles in rows of four, each with its azimuth in the corner."""
    pitch, rows = size + _GAP_PX, len(tiles) // _COLUMNS
    sheet = Image.new("RGB", (_COLUMNS * pitch + _GAP_PX, rows * pitch + _GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=max(10, size // 24))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, _COLUMNS)
        corner = (_GAP_PX + column * pitch, _GAP_PX + row * pitch)
        sheet.paste(Image.fromarray(tile), corner)
        label = f"{AZIMUTHS_DEG[number % len(AZIMUTHS_DEG)]}°"
        pen.text((corner[0] + size // 32, corner[1] + size // 40), label, (96, 96, 96), font)
    return sheet
