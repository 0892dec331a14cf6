"""The workspace that is open in this Blender, and the exact numbers behind Blender's own.

Blender keeps single precision. A number that nobody touched is therefore taken from the file.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import bpy
import numpy as np

from maquette.scene.region import Region
from maquette.scene.workspace import Workspace

COLLECTION = "maquette"
ROOT, POINTS, CAMERAS = "maquette world", "maquette points", "maquette cameras"
SPHERE, BOX, PHOTO, EYE = "maquette sphere", "maquette box", "maquette photo", "maquette camera"
TOKEN = "maquette session"  # on the root: to which session the objects belong
LABELS = tuple(f"{axis} {end}" for axis in "xyz" for end in ("min", "max"))


@dataclass(frozen=True)
class State:
    """What a person changes, and what undo goes back to.

    Attributes:
        region: Sphere and box, double precision.
        cropped: [P] points that are hidden because they lay outside the box, or None.
    """

    region: Region
    cropped: np.ndarray | None = None


class Session:
    """What is open. Blender's undo brings back the number of a state, here it is kept exactly."""

    def __init__(self, opened: Workspace) -> None:
        self.opened = opened
        self.token = secrets.token_hex(8)
        self.number = 0
        self._states = [State(opened.region)]
        self._divided: tuple[Region, np.ndarray] | None = None

    @property
    def region(self) -> Region:
        return self._states[self.number].region

    @property
    def cropped(self) -> np.ndarray | None:
        return self._states[self.number].cropped

    @property
    def inside(self) -> np.ndarray:
        """Which points lie in the region, [P]; found once, panels are drawn often."""
        if self._divided is None or self._divided[0] is not self.region:
            self._divided = self.region, self.region.contains(self.opened.model.points)
        return self._divided[1]

    def change(self, **parts: object) -> None:
        """Go on to a new state in which these attributes differ."""
        self._states.append(replace(self._states[self.number], **parts))
        self.number = len(self._states) - 1

    def go_back(self, number: int) -> None:
        """Return to an earlier state, or forward again."""
        self.number = min(max(number, 0), len(self._states) - 1)


_current: Session | None = None


def current() -> Session | None:
    """The open session; None also while undo has taken its objects away."""
    root = find(ROOT)
    if _current is None or root is None or root.get(TOKEN) != _current.token:
        return None
    return _current


def begin(opened: Workspace) -> Session:
    """Open a workspace in this Blender; the one before is closed."""
    global _current
    _current = Session(opened)
    return _current


def end() -> None:
    """Close what is open."""
    global _current
    _current = None


def find(name: str) -> bpy.types.Object | None:
    """An object of ours in this file, or None."""
    return bpy.data.objects.get(name)


def exact(shown: object, known: object) -> np.ndarray:
    """Numbers as Blender shows them [N], but exact where single precision is all that differs."""
    near, true = np.asarray(shown, np.float32), np.asarray(known, np.float64)
    untouched = np.isclose(near, true.astype(np.float32), rtol=3e-7, atol=0)
    return np.where(untouched, true, near.astype(np.float64))
