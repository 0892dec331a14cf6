"""Fused points so far, in files of some views each, so that fusion goes on after a kill.

A view's points depend on those of all views before it, so the next file is begun with what the
last one says of the pixels that are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maquette.recon.mvs.fusion import Points, Taken
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing


@dataclass
class FusedPart:
    """What some views gave, one after the other.

    Attributes:
        points: Of each view, those that are kept.
        all: How many points the views gave, kept or not; `views` how often a view saw one.
        taken: What `fusion.fuse` goes on with.
    """

    points: list[Points] = field(default_factory=list)
    all: int = 0
    views: int = 0
    taken: Taken = field(default_factory=dict)


@dataclass(frozen=True)
class FusedParts:
    """The files of one fusion.

    Attributes:
        folder: Where they lie; nothing else there ends in `.npz`.
        of: What the points are made of, as a name: files of another one do not count.
    """

    folder: Path
    of: str

    def read(self, number: int) -> FusedPart | None:
        """A part, where it is there and whole."""
        try:
            with np.load(self._file(number)) as content:
                return _unpacked({name: content[name] for name in content.files})
        except NOT_READABLE:
            return None

    def write(self, number: int, part: FusedPart) -> None:
        """Keep a part, the arrays of all its views one behind the other; whole or not at all."""
        found, taken = part.points, part.taken
        shapes = np.array([each.views.shape for each in found], np.int64).reshape(-1, 2)
        sizes = np.array([(n, len(bits)) for n, bits in taken.items()], np.int64).reshape(-1, 2)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._file(number)) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                counts=np.array([part.all, part.views], np.int64),
                shapes=shapes,
                points=_joined([each.points for each in found], np.float32),
                normals=_joined([each.normals for each in found], np.float32),
                colors=_joined([each.colors for each in found], np.uint8),
                views=_joined([each.views for each in found], np.int32),
                taken=sizes,
                bits=_joined(list(taken.values()), np.uint8),
            )

    def drop(self) -> None:
        """Remove the files, and those of earlier fusions that did not come to their end."""
        for path in self.folder.glob("*.npz"):
            path.unlink()

    def _file(self, number: int) -> Path:
        return self.folder / f"{self.of}-{number}.npz"


def _unpacked(content: dict[str, np.ndarray]) -> FusedPart:
    shapes = content["shapes"]
    ends = np.cumsum(shapes, axis=0)[:-1, 0]
    seen = np.split(content["views"], np.cumsum(shapes.prod(axis=1))[:-1])
    parts = (
        np.split(content[name].reshape(-1, 3), ends) for name in ("points", "normals", "colors")
    )
    points = [
        Points(place, normal, color, views.reshape(shape))
        for place, normal, color, views, shape in zip(*parts, seen, shapes, strict=True)
    ]
    numbers, sizes = content["taken"].T
    bits = np.split(content["bits"], np.cumsum(sizes)[:-1])
    taken = dict(zip(numbers.tolist(), bits, strict=True)) if len(numbers) else {}
    told, seen_by = content["counts"].tolist()
    return FusedPart(points, told, seen_by, taken)


def _joined(arrays: Sequence[np.ndarray], kind: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.zeros(0, kind), *(each.ravel() for each in arrays)])
