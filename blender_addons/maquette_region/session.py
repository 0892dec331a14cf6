"""The workspace that is open in this Blender, and the exact numbers behind Blender's own.

Blender keeps single precision. A number that nobody touched is therefore taken from the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from maquette.scene.region import Region
from maquette.scene.workspace import Workspace

COLLECTION = "maquette"
ROOT, POINTS, CAMERAS = "maquette world", "maquette points", "maquette cameras"
SPHERE, BOX, PHOTO, EYE = "maquette sphere", "maquette box", "maquette photo", "maquette camera"
LABELS = tuple(f"{axis} {end}" for axis in "xyz" for end in ("min", "max"))


@dataclass
class Session:
    """What is open.

    Attributes:
        region: The region as last set, double precision.
        cropped: [P] points that are hidden because they lie outside the box, or None.
    """

    opened: Workspace
    region: Region
    cropped: np.ndarray | None = None


_current: Session | None = None


def current() -> Session | None:
    """The open session, or None."""
    return _current


def begin(opened: Workspace) -> Session:
    """Open a workspace in this Blender; the one before is closed."""
    global _current
    _current = Session(opened, opened.region)
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
