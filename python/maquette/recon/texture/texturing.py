"""Texture a mesh from posed photographs: all parts in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, ConfigError
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.system_memory import memory_bytes
from maquette.recon.texture import charts as chart_making
from maquette.recon.texture.baking import Colors, bake
from maquette.recon.texture.blending import Layers, blended_layers, plain_layers, shared_views
from maquette.recon.texture.candidates import Candidates, gather
from maquette.recon.texture.charts import Charts
from maquette.recon.texture.exposure import compensated, find_gains
from maquette.recon.texture.face_graph import face_neighbours
from maquette.recon.texture.labelling import choose_views
from maquette.recon.texture.levelling import find_offsets, nodes_of
from maquette.recon.texture.options import TexturingOptions, Told, tell_nobody
from maquette.recon.texture.outliers import find_outliers
from maquette.recon.texture.packing import Packing, pack
from maquette.recon.texture.textured_mesh import TexturedMesh, shared_coordinates
from maquette.recon.texture.vertex_colors import colored_vertices
from maquette.recon.views.views import Views

_BAND_PX = 5.0  # half the width over which one photograph fades into the next
_MOST_RINGS = 6
_SMALLER = 0.97
_LEAST_SCALE = 1e-3  # texels a pixel: smaller, margins alone are left of charts
_BYTES_A_TEXEL = 7  # of the page that is baked: twice its colours, and which are there
_SHARE_OF_MEMORY = 0.7


@dataclass(frozen=True)
class Texturing:
    """A textured mesh and how it came about.

    Attributes:
        label: [F] int16, the view of each face, UNSEEN for none.
        gains: [N, 3], factors on the photographs' sRGB values.
        numbers: For the stage's record.
    """

    textured: TexturedMesh
    label: NDArray[np.int16]
    gains: NDArray[np.float32]
    numbers: dict[str, Any]


def texture_mesh(
    mesh: TriangleMesh, views: Views, options: TexturingOptions, told: Told = tell_nobody
) -> Texturing:
    """Texture a mesh in the views' world.

    Raises:
        BadInput: no view shows any of it.
    """
    found = gather(mesh, views, partial(told, "views of faces"))
    if not found.is_seen.any():
        masks = ", as far as `masks/` let them" if views.has_masks else ""
        raise BadInput(
            f"none of {len(views)} photos shows any of the mesh's {len(mesh.faces):,} faces{masks}",
            hint="give a mesh in this scene's world, COLMAP's as in `results/`, with its faces "
            "turned outwards",
        )
    gains = find_gains(found, len(views)) if options.compensate else _no_gains(views)
    found = compensated(found, gains)
    outliers = find_outliers(found) if options.drop_outliers else np.zeros_like(found.view, bool)
    found, dropped = found.without(outliers), _share(outliers.sum(), (found.quality > 0).sum())
    neighbours = face_neighbours(mesh.faces)
    label = choose_views(mesh, neighbours, found, len(views), partial(told, "seams"))
    corners, kind = chart_making.flat_faces(mesh, views, label)
    colors = _colors(mesh, views, found, label, gains, corners, options, told)
    laid = _lay_out(neighbours, corners, kind, label, options)
    _check_memory(laid.packing.sizes, options.size)
    textured = _baked(mesh, laid, colors, options, told)
    numbers = {
        "charts": len(laid.charts.view),
        "pages": len(laid.packing.sizes),
        "page_size": list(laid.packing.sizes[0]),
        "texels_per_pixel": round(laid.scale, 4),
        "textured_share": round(float((label >= 0).mean()), 4),
        "views_used": len(np.unique(label[label >= 0])),
        "seam_edges_share": _share(_seams(neighbours, label), (neighbours >= 0).sum()),
        "dropped_views_share": dropped,
        "exposure_factors": [round(float(gains.min()), 3), round(float(gains.max()), 3)],
    }
    return Texturing(textured, label, gains, numbers)


@dataclass(frozen=True)
class _Laid:
    """Charts on pages, at a scale in texels a pixel."""

    charts: Charts
    packing: Packing
    scale: float


def _colors(
    mesh: TriangleMesh, views: Views, found: Candidates, label: NDArray[np.int16],
    gains: NDArray[np.float32], corners: NDArray[np.float64], options: TexturingOptions, told: Told,
) -> Colors:  # fmt: skip
    rings = _rings(corners[label >= 0]) if options.blend else 0
    layers = blended_layers(mesh.faces, label, found, rings) if rings else plain_layers(label)
    order = np.argsort(layers.view, kind="stable")
    layers = Layers(layers.face[order], layers.view[order], layers.weight[order])
    if options.mixed_views > 1:
        shares = shared_views(label, found, options.mixed_views)
        vertex = colored_vertices(mesh, found)
        return Colors(views, gains, layers, None, shares, options.sigma_px, vertex)
    offsets = None
    if options.level:
        nodes = nodes_of(mesh, layers)
        by_node = find_offsets(mesh, views, gains, nodes, told)
        offsets = by_node[nodes.of_layer]
    return Colors(views, gains, layers, offsets, None, 0.0, colored_vertices(mesh, found))


def _rings(corners: NDArray[np.float64]) -> int:
    """Rings of faces that are about as wide as the band."""
    edge = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    return int(np.clip(round(_BAND_PX / max(float(np.median(edge)), 1e-6)), 1, _MOST_RINGS))


def _lay_out(
    neighbours: NDArray[np.int32], corners: NDArray[np.float64], kind: NDArray[np.int64],
    label: NDArray[np.int16], options: TexturingOptions,
) -> _Laid:  # fmt: skip
    """Charts packed on as many pages as are allowed, at the largest scale that fits, at most 1.

    Raises:
        ConfigError: they do not fit at any, as each chart has a margin.
    """
    scale = 1.0
    while scale > _LEAST_SCALE:
        charts = chart_making.make_charts(neighbours, scale * corners, kind, label, options.size)
        packing = pack(charts.size, charts.view.astype(np.int64), options.size)
        if len(packing.sizes) <= options.pages:
            return _Laid(charts, packing, scale)
        scale *= _SMALLER * min(1.0, np.sqrt(options.pages / (len(packing.sizes) - 0.5)))
    raise ConfigError(
        f"the {len(charts.view):,} pieces of the texture do not fit on {options.pages} of "
        f"{options.size} × {options.size} texels",
        hint=f"try TEXTURE_SIZE={min(16 * options.size, 16384)}",
    )


def _check_memory(sizes: list[tuple[int, int]], longest: int) -> None:
    """Refuse pages that this machine can not hold.

    Raises:
        ConfigError: one is too large.
    """
    needed = _BYTES_A_TEXEL * max(width * height for width, height in sizes)
    needed += sum(3 * width * height for width, height in sizes)
    if needed > _SHARE_OF_MEMORY * memory_bytes():
        raise ConfigError(
            f"a texture of {longest} texels a side needs {needed / 2**30:.1f} GB of memory, "
            f"of {memory_bytes() / 2**30:.1f} GB",
            hint=f"try TEXTURE_SIZE={longest // 2}",
        )


def _baked(
    mesh: TriangleMesh, laid: _Laid, colors: Colors, options: TexturingOptions, told: Told
) -> TexturedMesh:
    charts, packing = laid.charts, laid.packing
    corners = charts.corners + packing.origin[charts.of_face][:, None]
    page_of_face = packing.page[charts.of_face].astype(np.int32)
    places = np.empty(corners.shape, np.float32)
    pages = []
    for number, size in enumerate(packing.sizes):
        faces = np.flatnonzero(page_of_face == number)
        places[faces] = corners[faces] / np.array(size)
        name = "baking" if len(packing.sizes) == 1 else f"baking page {number + 1}"
        pages.append(
            bake(mesh, corners, faces, size, colors, options.dilation, partial(told, name))
        )
    coordinates, shared = shared_coordinates(mesh.faces, charts.of_face, places)
    plain = replace(mesh, colors=None, seen=None)
    return TexturedMesh(plain, coordinates, shared, page_of_face, pages)


def _no_gains(views: Views) -> NDArray[np.float32]:
    return np.ones((len(views), 3), np.float32)


def _seams(neighbours: NDArray[np.int32], label: NDArray[np.int16]) -> int:
    return int(((label[:, None] != label[neighbours]) & (neighbours >= 0)).sum())


def _share(part: Any, whole: Any) -> float:
    return round(float(part) / max(float(whole), 1.0), 4)
