"""Which photographs show a face, how well, and in which colour.

The quality of a view of a face is the number of pixels that a unit of its area fills there,
times the contrast of the photograph around it: near, straight and sharp views win. Views in
which the face is hidden, masked or outside the picture are none. Source: the data term of
Lempitsky and Ivanov, "Seamless mosaicing of image-based texture maps", CVPR 2007, and Gal et
al., "Seamless montage for texturing models", 2010; differs: the contrast is a mean over a
neighbourhood, as a face of a scan is about a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, uniform_filter

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, vertex_normals
from maquette.recon.mesh.vertex_graph import VertexGraph
from maquette.recon.texture.projection import Float32, project
from maquette.recon.views.views import Views
from maquette.scene.transforms import Frame, Intrinsics

_KEPT = 10  # views a face
_RAYS_LONG_SIDE = 480  # pixels of the depth maps that tell what is hidden
_LEAST_COSINE = np.float32(np.cos(np.radians(78.0)))
_SHARPNESS_SHARE = 0.01  # of the picture's long side: the neighbourhood whose contrast counts
_FLAT = 2.0  # of 255: the contrast that a plain wall is given
_AT_EDGE = np.float32(0.2)  # of the quality, where the picture shows an edge of the mesh
_NORMAL_ROUNDS = 3
_NOWHERE = np.float32(3e38)


@dataclass(frozen=True)
class Candidates:
    """The best views of each face; K of them, in no order.

    Attributes:
        view: [F, K] int16, −1 where there are fewer.
        quality: [F, K] float32, 0 where there are fewer.
        color: [F, K, 3] uint8, the mean colour of the face in that view, sRGB.
    """

    view: NDArray[np.int16]
    quality: NDArray[np.float32]
    color: NDArray[np.uint8]

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        """Whether any view shows a face, [F]."""
        return np.asarray(self.quality.max(axis=1, initial=0) > 0)

    def without(self, dropped: NDArray[np.bool_]) -> Candidates:
        """The same but for some views [F, K]."""
        view = np.where(dropped, np.int16(-1), self.view)
        return Candidates(view, np.where(dropped, np.float32(0), self.quality), self.color)


def gather(mesh: TriangleMesh, views: Views, told: Callable[[int, int], None]) -> Candidates:
    """Look at a mesh (world) in all views; an interruption loses nothing but time."""
    faces = mesh.faces
    kept = min(_KEPT, max(len(views), 1))
    found = Candidates(
        np.full((len(faces), kept), -1, np.int16),
        np.zeros((len(faces), kept), np.float32),
        np.zeros((len(faces), kept, 3), np.uint8),
    )
    sight = _Sight(mesh)
    for number in range(len(views)):
        image = views.image(number)
        vertex = sight.look(views.frames[number], image, views.mask(number))
        _keep_best(found, number, vertex, faces)
        told(number + 1, len(views))
    return found


@dataclass(frozen=True)
class _Seen:
    """Vertices in one view: pixels [V, 2], quality [V] (0: not seen), colour [V, 3] uint8."""

    pixels: Float32
    quality: Float32
    color: NDArray[np.uint8]


class _Sight:
    """A mesh prepared to be looked at from many cameras."""

    def __init__(self, mesh: TriangleMesh) -> None:
        self._vertices = mesh.vertices.astype(np.float64)
        self._middle = self._vertices.mean(axis=0)
        self._scale = 1.0 / max(float(mesh.extent.max(initial=0.0)), 1e-12)
        unit = ((self._vertices - self._middle) * self._scale).astype(np.float32)
        self._rays = RayScene(TriangleMesh(unit, mesh.faces))
        graph = VertexGraph(mesh)
        normals = vertex_normals(TriangleMesh(unit, mesh.faces))
        columns = [graph.smoothed(column, _NORMAL_ROUNDS) for column in normals.T]
        smooth = np.stack(columns, axis=1)
        length = np.linalg.norm(smooth, axis=1, keepdims=True)
        self._normals = np.divide(smooth, length, out=smooth, where=length > 0)

    def look(self, frame: Frame, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> _Seen:
        """What a camera sees of each vertex."""
        lens, eye = frame.intrinsics, frame.world_from_cam[:3, 3]
        pixels, depth = project(self._vertices, frame)
        way = (eye - self._vertices).astype(np.float32)
        distance = np.sqrt(np.einsum("ij,ij->i", way, way))
        cosine = np.einsum("ij,ij->i", self._normals, way) / np.maximum(distance, 1e-20)
        seen = (depth > 0) & (cosine > _LEAST_COSINE)
        seen &= (pixels > 1).all(axis=1)
        seen &= (pixels[:, 0] < lens.width - 1) & (pixels[:, 1] < lens.height - 1)
        some = np.flatnonzero(seen)
        at = pixels[some, 1].astype(np.int32), pixels[some, 0].astype(np.int32)
        hidden, at_edge = self._hidden(frame, pixels[some], depth[some], cosine[some])
        if mask is not None:
            hidden |= ~mask[at]
        some, at = some[~hidden], (at[0][~hidden], at[1][~hidden])
        density = cosine[some] * np.float32(lens.fl_x * lens.fl_y) / depth[some] ** 2
        quality = np.zeros(len(depth), np.float32)
        quality[some] = density * _contrast(image)[at]
        quality[some] *= np.where(at_edge[~hidden], _AT_EDGE, np.float32(1))
        color = np.zeros((len(depth), 3), np.uint8)
        color[some] = uniform_filter(image, (3, 3, 1))[at]
        return _Seen(pixels, quality, color)

    def _hidden(
        self, frame: Frame, pixels: Float32, depth: Float32, cosine: Float32
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether something lies before points, and whether they lie at an edge of the mesh."""
        scale = min(1.0, _RAYS_LONG_SIDE / max(frame.intrinsics.width, frame.intrinsics.height))
        size = [max(1, round(s * scale)) for s in (frame.intrinsics.width, frame.intrinsics.height)]
        lens = frame.intrinsics.scaled(*size)
        front = self._depth_map(frame.world_from_cam, lens)
        nearest, farthest = minimum_filter(front, 3), maximum_filter(front, 3)
        column = np.minimum((pixels[:, 0] * (lens.width / frame.intrinsics.width)).astype(int),
                            lens.width - 1)  # fmt: skip
        row = np.minimum((pixels[:, 1] * (lens.height / frame.intrinsics.height)).astype(int),
                         lens.height - 1)  # fmt: skip
        slope = np.sqrt(np.maximum(1 - cosine**2, 0)) / cosine
        tolerance = depth / np.float32(min(lens.fl_x, lens.fl_y)) * (3 + 3 * slope)
        at = row, column
        return depth > nearest[at] + tolerance, farthest[at] > depth + tolerance

    def _depth_map(self, pose: FloatArray, lens: Intrinsics) -> Float32:
        """Depth [H, W] of the mesh in world units; a large number where there is none."""
        width, height = lens.width, lens.height
        across = (np.arange(width) + 0.5 - lens.cx) / lens.fl_x
        down = (np.arange(height) + 0.5 - lens.cy) / lens.fl_y
        local = np.ones((height, width, 3), np.float32)
        local[..., 0], local[..., 1] = across, down[:, None]
        directions = local.reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
        eye = ((pose[:3, 3] - self._middle) * self._scale).astype(np.float32)
        hits = self._rays.first_hits(np.broadcast_to(eye, directions.shape), directions)
        depth = np.full(width * height, _NOWHERE, np.float32)
        depth[hits.ray] = hits.depth / np.float32(self._scale)
        return depth.reshape(height, width)


def _contrast(image: NDArray[np.uint8]) -> Float32:
    """Mean gradient of the brightness around each pixel, [H, W], of 255."""
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    strength = np.hypot(*np.gradient(grey))
    sigma = max(1.0, _SHARPNESS_SHARE * max(grey.shape))
    return np.asarray(gaussian_filter(strength, sigma) + np.float32(_FLAT), np.float32)


def _keep_best(found: Candidates, number: int, vertex: _Seen, faces: NDArray[np.int32]) -> None:
    """Put a view among a face's best where it is better than the worst of these."""
    quality = vertex.quality[faces]  # [F, 3]
    face = np.flatnonzero(quality.min(axis=1) > 0)
    corners = faces[face]
    a, b, c = (vertex.pixels[corners[:, k]] for k in range(3))
    ahead = _doubled_area(a, b, c) > 0
    face, corners = face[ahead], corners[ahead]
    mean = quality[face].mean(axis=1)
    worst = found.quality[face].argmin(axis=1)
    better = mean > found.quality[face, worst]
    face, slot, corners = face[better], worst[better], corners[better]
    found.view[face, slot] = number
    found.quality[face, slot] = mean[better]
    total = sum(vertex.color[corners[:, k]].astype(np.uint16) for k in range(3))
    found.color[face, slot] = (total + 1) // 3


def _doubled_area(a: Float32, b: Float32, c: Float32) -> Float32:
    """Twice the area of triangles in a picture [N, 2]; positive where they face the camera."""
    return np.asarray(
        (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]) - (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1])
    )
