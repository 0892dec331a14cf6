"""A mesh of Gaussians: the surface that cameras see of them, in one distance field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.cleaning import drop_crumbs, drop_degenerate
from maquette.recon.mesh.clipping import clip_to_ball
from maquette.recon.mesh.depth_maps import DepthMaps
from maquette.recon.mesh.holes import close_holes
from maquette.recon.mesh.resolution import resolution_for
from maquette.recon.mesh.smoothing import denoise, smooth
from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals
from maquette.recon.mesh.tsdf import TsdfOptions, extract_from_maps
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.surface_maps import SurfaceMap, surface_map
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

Told = Callable[[str, int, int], None]
Masks = Callable[[int], NDArray[np.bool_] | None]
Floats = NDArray[np.float32]
_CELL_PX = 3.0  # splats tell of less than photos show
_FRONT_CELLS, _BEHIND_CELLS = 10.0, 6.0  # wide: the views' depths scatter by some cells
_SUPPORT = 3.0  # views, seen head-on, that a voxel needs
_LEAST_FACES = 200  # of a part that stands alone
_HOLE_EDGES = 40
_SMOOTH, _DENOISE, _DENOISE_DEG = 5, 3, 20.0  # rounds; σ of the weight by normals' angle
_TOLERANCE_CELLS = 2.0  # between a vertex and the depth of a view that colours it


@dataclass(frozen=True)
class Meshed:
    """A mesh in unit space, empty where there is no surface.

    Attributes:
        resolution: Cells along the sphere's diameter.
        remark: What a person should know of the resolution; "" for nothing.
    """

    mesh: TriangleMesh
    resolution: int
    remark: str = ""


@dataclass(frozen=True)
class _Maps:
    """Surface maps on disk, so that memory does not grow with the number of views."""

    folder: Path

    def write(self, number: int, found: SurfaceMap) -> None:
        np.savez(
            self.folder / f"{number}.npz", depth=found.depth,
            normals=np.round(found.normals * 32767).astype(np.int16),
            color=np.round(found.color * 255).astype(np.uint8),
        )  # fmt: skip

    def depth_and_normals(self, number: int) -> tuple[Floats, Floats]:
        with np.load(self.folder / f"{number}.npz") as found:
            return found["depth"], found["normals"].astype(np.float32) / 32767

    def depth_and_color(self, number: int) -> tuple[Floats, Floats]:
        with np.load(self.folder / f"{number}.npz") as found:
            return found["depth"], found["color"].astype(np.float32) / 255


def mesh_of(
    splats: Gaussians, frames: Sequence[Frame], region: Region, resolution: int, folder: Path,
    told: Told = lambda name, done, total: None, mask: Masks = lambda number: None,
) -> Meshed:  # fmt: skip
    """Lay a coloured mesh through the surface of Gaussians that frames see in the region.

    Args:
        splats: In the world of frames and region.
        frames: With pictures of the size that depth is rendered at.
        resolution: Cells along the sphere's diameter; 0: what suits the frames.
        folder: An empty one for a map of each frame.
        told: Called with (what is done, how many of it are, how many in all).
        mask: The pixels [H, W] of a frame, by number, that show what is wanted; None: all.
    """
    maps = _Maps(folder)
    for number, frame in enumerate(frames):
        told("depths", number, len(frames))
        maps.write(number, surface_map(splats, frame).within(mask(number)))
    told("depths", len(frames), len(frames))
    depths, remark = DepthMaps.of(frames, maps.depth_and_normals, region), ""
    if not resolution:
        resolution, remark = resolution_for(depths.footprint(region), _CELL_PX)
    chosen = TsdfOptions(
        resolution, front_cells=_FRONT_CELLS, behind_cells=_BEHIND_CELLS,
        least_support=min(_SUPPORT, len(frames) / _SUPPORT),
    )  # fmt: skip
    raw = extract_from_maps(
        depths, region.unit_box(), chosen, lambda done, total: told("blocks", done, total)
    )
    mesh = tidied(drop_degenerate(clip_to_ball(raw)))
    if len(mesh.faces):
        mesh = _colored(mesh, depths, maps, _TOLERANCE_CELLS * 2.0 / resolution)
    return Meshed(mesh, resolution, remark)


def tidied(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh without crumbs and small holes, and smooth but for its edges."""
    kept = drop_crumbs(mesh, _LEAST_FACES)
    if not len(kept.faces):
        return kept
    closed, _ = close_holes(kept, _HOLE_EDGES)
    smoothed = denoise(smooth(closed, _SMOOTH), _DENOISE, _DENOISE_DEG)
    return replace(smoothed, normals=vertex_normals(smoothed))


def _colored(mesh: TriangleMesh, depths: DepthMaps, maps: _Maps, tolerance: float) -> TriangleMesh:
    """The mesh with the mean colour of the views that see each vertex, the more head-on the more.

    What no view sees gets the mean colour of all.
    """
    assert mesh.normals is not None
    sums, weights = np.zeros((len(mesh.vertices), 3), np.float32), np.zeros(len(mesh.vertices))
    for number, frame in enumerate(depths.frames):
        depth, color = maps.depth_and_color(number)
        which, row, column, cosine = _seen(mesh, frame, depth * np.float32(depths.scale), tolerance)
        sums[which] += (cosine**2)[:, None] * color[row, column]
        weights[which] += cosine**2
    seen = weights > 0
    colors = np.empty_like(sums)
    colors[seen] = sums[seen] / weights[seen, None]
    colors[~seen] = colors[seen].mean(axis=0) if seen.any() else 0.5
    return replace(mesh, colors=colors)


def _seen(
    mesh: TriangleMesh, frame: Frame, depth: Floats, tolerance: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Floats]:
    """The vertices that a view sees: number, row and column of the pixel, cosine to its ray."""
    assert mesh.normals is not None
    pose, lens = frame.world_from_cam.astype(np.float32), frame.intrinsics
    away = mesh.vertices.astype(np.float32) - pose[:3, 3]
    x, y, z = (away @ pose[:3, :3]).T
    ahead = np.maximum(z, 1e-9)
    u, v = lens.fl_x * x / ahead + lens.cx, lens.fl_y * y / ahead + lens.cy
    cosine = -np.einsum("ij,ij->i", mesh.normals, away) / np.linalg.norm(away, axis=1)
    inside = (z > 0) & (u >= 0) & (v >= 0) & (u < lens.width) & (v < lens.height) & (cosine > 0.1)
    which = np.flatnonzero(inside)
    row, column = v[which].astype(np.intp), u[which].astype(np.intp)
    close = np.abs(depth[row, column] - z[which]) < tolerance
    return which[close], row[close], column[close], cosine[which[close]].astype(np.float32)
