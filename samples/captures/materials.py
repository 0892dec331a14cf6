"""What surfaces look like: coloured noise at every scale that a camera resolves, and bricks.

A feature detector needs contrast at the scale of pixels however near or far a surface is, as
real surfaces have it. So the noise has many octaves, and at each place those finer than a pixel
fade away, which is what a lens does.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

_TABLE = np.random.default_rng(5).normal(size=(64, 64, 64)).astype(np.float32)
_SHARES = np.linspace(0.0, 1.0, 1024)
_FINEST = 0.001  # of the coarsest wavelength
_TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0].astype(np.float32)


@dataclass(frozen=True)
class Cells:
    """Bricks, tiles or planks on a surface; sizes in world units."""

    width: float
    height: float
    joint: float
    joint_colour: tuple[float, float, float] = (0.35, 0.33, 0.30)
    tint: float = 0.5  # how much the cells differ in brightness


@dataclass(frozen=True)
class Material:
    """Colours along the noise, dark to light, linear RGB; and the noise's coarsest wavelength."""

    stops: tuple[tuple[float, float, float], ...]
    wavelength: float
    cells: Cells | None = None
    contrast: float = 0.35


def albedo(material, points, normals, footprint):
    """Colour of a surface, [N, 3] linear RGB.

    Args:
        material: Material.
        points: [N, 3] world.
        normals: [N, 3] unit vectors.
        footprint: [N] width of a pixel there, world units.
    """
    noise = octaves(points, footprint, material.wavelength)
    share = 0.5 + 0.5 * np.tanh(2.0 * material.contrast * noise)
    places = np.linspace(0.0, 1.0, len(material.stops))
    table = np.stack(
        [np.interp(_SHARES, places, stop) for stop in zip(*material.stops, strict=True)], axis=1
    )
    colour = table.astype(np.float32)[(share * (len(_SHARES) - 1)).astype(np.int32)]
    if material.cells is not None:
        colour = laid(colour, material.cells, points, normals, footprint)
    return colour


def octaves(points, footprint, wavelength):
    """Noise about 1 in size, [N]; octaves shorter than two pixels fade out."""
    footprint = np.asarray(footprint, np.float32)
    total = np.zeros(len(points), np.float32)
    power = np.full(len(points), 1e-9, np.float32)
    places, length = points.T.astype(np.float32) / np.float32(wavelength), np.float32(wavelength)
    seen = np.arange(len(points))
    while length > _FINEST * wavelength:
        weight = np.clip(0.5 * length / footprint - 1.0, 0.0, 1.0)
        if not weight.all():
            kept = weight > 0
            seen, places = seen[kept], places[:, kept]
            footprint, weight = footprint[kept], weight[kept]
        if len(seen) == 0:
            break
        value = map_coordinates(_TABLE, places, np.float32, order=1, mode="grid-wrap")
        total[seen] += weight * value
        power[seen] += weight * weight
        places, length = 2.0 * (_TURN @ places) + 11.3, 0.5 * length
    return 1.7 * total / np.sqrt(power)


def laid(colour, cells, points, normals, footprint):
    """Lay cells over a surface: each has its own brightness, and joints between them."""
    across, up = _plane_coordinates(points, normals)
    row = np.floor(up / cells.height)
    shifted = across / cells.width + 0.5 * (row % 2)
    column = np.floor(shifted)
    random = np.modf(np.abs(np.sin(12.9898 * row + 78.233 * column) * 43758.5453))[0]
    colour = colour * (1.0 + cells.tint * (2.0 * random - 1.0))[:, None]
    to_edge = np.minimum(
        np.minimum(shifted - column, 1.0 - shifted + column) * cells.width,
        np.minimum(up / cells.height - row, 1.0 - up / cells.height + row) * cells.height,
    )
    share = np.clip((0.5 * cells.joint - to_edge) / footprint + 0.5, 0.0, 1.0)
    share *= np.clip(cells.joint / footprint, 0.0, 1.0)
    return colour + share[:, None] * (np.asarray(cells.joint_colour) - colour)


def _plane_coordinates(points, normals):
    """Two coordinates on the axis plane that a surface faces most; the second is z on walls."""
    main = np.abs(normals).argmax(axis=1)
    across = np.where(main == 0, points[:, 1], points[:, 0])
    return across, np.where(main == 2, points[:, 1], points[:, 2])


MATERIALS = {
    "grass": Material(((0.02, 0.05, 0.01), (0.10, 0.18, 0.03), (0.35, 0.42, 0.12)), 1.2),
    "soil": Material(((0.05, 0.03, 0.02), (0.20, 0.13, 0.08), (0.52, 0.42, 0.32)), 0.9),
    "stone": Material(((0.06, 0.06, 0.06), (0.28, 0.26, 0.23), (0.68, 0.65, 0.60)), 0.5),
    "plaster": Material(((0.30, 0.25, 0.18), (0.55, 0.48, 0.36), (0.80, 0.74, 0.62)), 0.8),
    "render": Material(((0.25, 0.12, 0.08), (0.50, 0.30, 0.20), (0.72, 0.52, 0.40)), 0.8),
    "ochre": Material(((0.35, 0.20, 0.05), (0.62, 0.42, 0.14), (0.82, 0.68, 0.36)), 0.8),
    "blue paint": Material(((0.05, 0.10, 0.20), (0.16, 0.28, 0.42), (0.45, 0.58, 0.68)), 0.6),
    "brick": Material(
        ((0.16, 0.04, 0.02), (0.42, 0.14, 0.08), (0.66, 0.34, 0.22)), 0.6,
        Cells(0.26, 0.09, 0.014),
    ),
    "ashlar": Material(
        ((0.16, 0.14, 0.11), (0.42, 0.38, 0.31), (0.70, 0.66, 0.56)), 0.7,
        Cells(0.75, 0.38, 0.02), 0.3,
    ),
    "paving": Material(
        ((0.10, 0.10, 0.10), (0.30, 0.29, 0.27), (0.60, 0.58, 0.54)), 0.6,
        Cells(0.42, 0.42, 0.02),
    ),
    "asphalt": Material(((0.03, 0.03, 0.03), (0.12, 0.12, 0.12), (0.36, 0.35, 0.34)), 1.5),
    "roof": Material(
        ((0.14, 0.05, 0.03), (0.36, 0.15, 0.09), (0.58, 0.32, 0.22)), 0.7,
        Cells(0.3, 0.34, 0.04, (0.08, 0.04, 0.03)),
    ),
    "slate": Material(((0.04, 0.05, 0.06), (0.16, 0.18, 0.21), (0.40, 0.43, 0.46)), 0.9),
    "wood": Material(
        ((0.10, 0.05, 0.02), (0.32, 0.18, 0.08), (0.60, 0.42, 0.24)), 0.3,
        Cells(1.4, 0.14, 0.006, (0.05, 0.03, 0.02)),
    ),
    "table": Material(((0.16, 0.08, 0.03), (0.38, 0.22, 0.10), (0.62, 0.44, 0.26)), 0.25),
    "parquet": Material(
        ((0.14, 0.07, 0.03), (0.36, 0.22, 0.11), (0.58, 0.42, 0.26)), 0.3,
        Cells(0.6, 0.09, 0.004, (0.06, 0.04, 0.03)),
    ),
    "wallpaper": Material(((0.20, 0.26, 0.20), (0.48, 0.54, 0.44), (0.78, 0.80, 0.70)), 0.5),
    "cloth": Material(((0.10, 0.04, 0.08), (0.40, 0.16, 0.24), (0.76, 0.56, 0.50)), 0.35),
    "linen": Material(((0.24, 0.26, 0.32), (0.52, 0.54, 0.58), (0.84, 0.84, 0.82)), 0.4),
    "picture": Material(((0.03, 0.10, 0.25), (0.60, 0.30, 0.08), (0.92, 0.86, 0.60)), 0.3,
                        contrast=0.5),
    "book": Material(((0.05, 0.12, 0.10), (0.40, 0.12, 0.06), (0.85, 0.75, 0.50)), 0.12,
                     contrast=0.5),
    "glass": Material(((0.02, 0.03, 0.04), (0.07, 0.09, 0.11), (0.20, 0.24, 0.28)), 0.5),
    "metal": Material(((0.04, 0.04, 0.05), (0.20, 0.20, 0.22), (0.50, 0.50, 0.52)), 0.4),
    "car": Material(((0.20, 0.03, 0.03), (0.42, 0.08, 0.06), (0.60, 0.28, 0.24)), 0.6),
    "leaves": Material(((0.01, 0.04, 0.01), (0.08, 0.17, 0.04), (0.30, 0.42, 0.12)), 0.5),
    "toy": Material(((0.10, 0.05, 0.03), (0.62, 0.36, 0.14), (0.95, 0.85, 0.66)), 0.03),
    "glaze": Material(((0.04, 0.08, 0.22), (0.24, 0.34, 0.50), (0.90, 0.88, 0.80)), 0.06),
    "white": Material(((0.80, 0.80, 0.80), (0.82, 0.82, 0.82)), 1.0, contrast=0.1),
}  # fmt: skip
