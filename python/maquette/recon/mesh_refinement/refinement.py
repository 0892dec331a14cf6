"""Photometric refinement of a mesh, from coarse to fine; sources in `agreement.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FaceArray, FloatArray, TriangleMesh, vertex_normals
from maquette.recon.mesh_refinement.agreement import Window
from maquette.recon.mesh_refinement.data_term import Photos, Pull
from maquette.recon.mesh_refinement.pictures import Pictures
from maquette.recon.mesh_refinement.smoothness import Neighbours, best_move, with_border
from maquette.recon.mesh_refinement.subdivision import split_long_edges
from maquette.recon.mesh_refinement.thickness import distance_to_next

Floats = NDArray[np.float64]
Told = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Refinement:
    """How a mesh is refined.

    Attributes:
        rounds: Rounds at each size of the pictures, each twice the one before; the last is their
            own.
        smoothness: Weight of the surface's curvature beside the photos.
        step_px: The farthest that a vertex moves in a round at first, pixels.
        edge_px: Longer edges are cut in two; 0 leaves the triangles as they are.
        free_share: Of the distance to the next surface, before it or behind: no vertex moves
            farther in all, so that the sides of a thin part do not cross.
        window: What is compared.
    """

    rounds: tuple[int, ...] = (4, 8)
    smoothness: float = 0.5
    step_px: float = 1.0
    edge_px: float = 2.0
    free_share: float = np.inf
    window: Window = field(default_factory=Window)


@dataclass(frozen=True)
class Refined:
    """What came of it.

    Attributes:
        mesh: With normals.
        energies: Mean energy before each round, see `Pull`.
    """

    mesh: TriangleMesh
    energies: list[float]


def refine(
    mesh: TriangleMesh, pictures: Pictures, pairs: Sequence[Sequence[int]],
    refinement: Refinement | None = None, device: torch.device | None = None,
    told: Told = lambda done, total, energy: None,
) -> Refined:  # fmt: skip
    """Move a mesh's vertices along their normals until the photos agree on it best.

    Vertices of which photos say nothing stay. One around which a round has made the photos agree
    less moves half as far from then on, so none runs away.

    Args:
        pictures: The photos with cameras in the mesh's world, and masks.
        pairs: For each photo the numbers of those it is compared with.
        told: Called with (views compared, views to compare in all rounds, energy so far).
    """
    refinement = refinement or Refinement()
    device = device or torch.device("cpu")
    origin = mesh.vertices.mean(0).astype(np.float64)  # float32 on the way needs small numbers
    shape = _Shape.of(mesh.vertices - origin, mesh.faces)
    course = _Course(told, sum(refinement.rounds), len(pictures.frames))
    for level, rounds in enumerate(refinement.rounds):
        factor = 2 ** (len(refinement.rounds) - 1 - level)
        photos = Photos(pictures.reduced(factor).around(origin), pairs, device)
        shape = _descend(shape, photos, rounds, refinement, course)
    finished = TriangleMesh(shape.vertices + origin, shape.faces)
    finished = replace(finished, normals=vertex_normals(finished))
    return Refined(finished, course.energies)


@dataclass(frozen=True)
class _Shape:
    """Vertices [V, 3], faces, and their graph."""

    vertices: Floats
    faces: FaceArray
    neighbours: Neighbours

    @property
    def normals(self) -> Floats:
        """Of its vertices, [V, 3]."""
        return np.asarray(vertex_normals(TriangleMesh(self.vertices, self.faces)), np.float64)

    @classmethod
    def of(cls, vertices: FloatArray, faces: FaceArray) -> _Shape:
        doubles = np.asarray(vertices, np.float64)
        return cls(doubles, faces, Neighbours.of(faces, len(doubles)))

    def limit(self, share: float) -> Floats:
        """A share of the distance to the next surface, [V]."""
        if np.isinf(share):
            return np.full(len(self.vertices), np.inf)
        mesh = TriangleMesh(self.vertices, self.faces)
        return share * distance_to_next(mesh, self.normals)

    def pull(self, photos: Photos, window: Window, course: _Course) -> Pull:
        device = photos.device
        vertices = torch.from_numpy(self.vertices.astype(np.float32)).to(device)
        faces = torch.from_numpy(self.faces).to(device)
        return photos.pull(vertices, faces, window, course.look)


@dataclass
class _Course:
    """What is told on the way: `rounds` of as many `views`."""

    told: Told
    rounds: int
    views: int
    energies: list[float] = field(default_factory=list)

    def look(self, done: int, total: int) -> None:
        """Some of the views of a round were compared."""
        past = min(len(self.energies), self.rounds - 1) * self.views
        energy = self.energies[-1] if self.energies else float("nan")
        self.told(past + done, self.rounds * self.views, energy)

    def note(self, energy: float) -> None:
        """A round begins."""
        self.energies.append(energy)


def _descend(
    shape: _Shape, photos: Photos, rounds: int, refinement: Refinement, course: _Course
) -> _Shape:
    """Refine with pictures of one size."""
    pull = shape.pull(photos, refinement.window, course)
    if refinement.edge_px > 0:
        shape, was = _finer(shape, pull, refinement.edge_px), shape
        if shape is not was:
            pull = shape.pull(photos, refinement.window, course)
    step, moved = np.full(len(shape.vertices), refinement.step_px), np.zeros(len(shape.vertices))
    limit = shape.limit(refinement.free_share)
    for number in range(rounds):
        if number:
            before, pull = pull, shape.pull(photos, refinement.window, course)
            step = np.where(pull.misfit > before.misfit, 0.5 * step, step)
        course.note(pull.energy)
        move = _move(shape, pull, refinement.smoothness, step)
        move = np.clip(moved + move, -limit, limit) - moved
        moved += move
        shape = replace(shape, vertices=shape.vertices + shape.normals * move[:, None])
    return shape


def _finer(shape: _Shape, pull: Pull, edge_px: float) -> _Shape:
    allowed = np.where(pull.pixel > 0, edge_px * pull.pixel, np.inf)
    vertices, faces, _ = split_long_edges(shape.vertices, shape.faces, allowed)
    return shape if len(faces) == len(shape.faces) else _Shape.of(vertices, faces)


def _move(shape: _Shape, pull: Pull, smoothness: float, step: Floats) -> Floats:
    """How far each vertex goes along its normal, [V]."""
    move = best_move(pull, shape.neighbours, shape.vertices, shape.normals, smoothness)
    return with_border(np.clip(move, -step, step), shape.neighbours) * pull.pixel
