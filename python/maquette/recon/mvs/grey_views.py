"""Photographs as matching needs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mvs.stacks import GreyView
from maquette.recon.views.images import mask_paths
from maquette.recon.views.views import Views
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_KEPT = 32  # grey pictures in memory: neighbours share most of their sources


class GreyViews:
    """Grey pictures with masks and cameras, by number."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._cached = lru_cache(_KEPT)(self._read)

    def __call__(self, number: int, depth: NDArray[np.float32] | None = None) -> GreyView:
        """A view, with its depths where they are known.

        Raises:
            BadInput: the picture or its mask is not readable.
        """
        found = self._cached(number)
        return found if depth is None else replace(found, depth=depth)

    def _read(self, number: int) -> GreyView:
        grey = np.rint(self._views.read_image(number) @ _LUMA).astype(np.uint8)
        return GreyView(self._views.frames[number], grey, self._views.mask(number))


class Contents:
    """Digests of what a view's depths are made of, so that they are known again."""

    def __init__(self, scene: Scene, frames: Sequence[Frame]) -> None:
        self._scene, self._frames = scene, frames
        self._masks = mask_paths(scene, frames)
        self._cached = lru_cache(None)(self._digest)

    def __call__(self, number: int) -> str:
        """Of picture, mask and camera.

        Raises:
            OSError: a file is missing.
        """
        return self._cached(number)

    def _digest(self, number: int) -> str:
        frame = self._frames[number]
        mask = self._masks[number]
        files = [self._scene.root / frame.file_path, *([mask] if mask else [])]
        told = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        return digest([*told, frame.world_from_cam.tolist(), asdict(frame.intrinsics)])


def digest(facts: Any) -> str:
    """SHA-256 of what is JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
