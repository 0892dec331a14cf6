"""How a `.sog` file of version 2 is read."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from maquette.errors import BadInput, NotFound
from maquette.recon.splats.files.sog import LARGEST_FIRST, PALETTE_COLUMNS
from maquette.recon.splats.gaussians import Gaussians
from maquette.scene.array_files import NOT_READABLE

_COEFFICIENTS = {1: 3, 2: 8, 3: 15}


def read_sog(path: Path) -> Gaussians:
    """Read Gaussians, in the file's order.

    Raises:
        NotFound: there is no such file.
        BadInput: it is cut off, or no `.sog` of version 2.
    """
    if not path.is_file():
        raise NotFound(f"no splats: `{path}`", hint="run `make extract PIPELINE=splat` first")
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read("meta.json"))
            if meta["version"] != 2:
                raise ValueError(f"version {meta['version']}")
            return _Reading(archive, meta).gaussians()
    except (*NOT_READABLE, IndexError, TypeError) as error:
        raise BadInput(
            f"`{path}` is cut off or no `.sog` of version 2: {error}",
            hint="copy or make the file again",
        ) from error


class _Reading:
    """An open file."""

    def __init__(self, archive: zipfile.ZipFile, meta: dict[str, Any]) -> None:
        self._archive, self._meta = archive, meta
        self._count = int(meta["count"])

    def gaussians(self) -> Gaussians:
        sh0 = self._rows("sh0", 0)
        colors = self._values("sh0", sh0[:, :3])[:, None]
        sh = np.concatenate([colors, self._others()], axis=1)
        opacities = torch.from_numpy(sh0[:, 3].astype(np.float32) / 255)
        return Gaussians(
            means=torch.from_numpy(self._means()),
            log_scales=torch.from_numpy(self._values("scales", self._rows("scales", 0)[:, :3])),
            quaternions=torch.from_numpy(self._rotations()),
            opacity_logits=torch.logit(opacities, eps=1e-3),
            sh=torch.from_numpy(sh),
        )

    def _means(self) -> NDArray[np.float32]:
        lower, upper = self._rows("means", 0)[:, :3], self._rows("means", 1)[:, :3]
        levels = lower.astype(np.float64) + 256.0 * upper
        low, high = np.array(self._meta["means"]["mins"]), np.array(self._meta["means"]["maxs"])
        logarithms = low + (high - low) * levels / 65535
        means = np.sign(logarithms) * np.expm1(np.abs(logarithms))
        return means.astype(np.float32)

    def _rotations(self) -> NDArray[np.float32]:
        rgba = self._rows("quats", 0)
        three = (rgba[:, :3].astype(np.float64) / 255 - 0.5) * np.sqrt(2)
        largest = rgba[:, 3].astype(int) - LARGEST_FIRST
        if ((largest < 0) | (largest > 3)).any():
            raise ValueError("a rotation without its largest component")
        others = np.argsort(np.arange(4) == largest[:, None], axis=1, kind="stable")[:, :3]
        rotations = np.zeros((self._count, 4))
        np.put_along_axis(rotations, others, three, axis=1)
        left_out = np.sqrt(np.maximum(0, 1 - (three**2).sum(axis=1)))
        np.put_along_axis(rotations, largest[:, None], left_out[:, None], axis=1)
        return rotations.astype(np.float32)

    def _others(self) -> NDArray[np.float32]:
        """Coefficients of degree 1 and more, [N, K − 1, 3]."""
        if "shN" not in self._meta:
            return np.zeros((self._count, 0, 3), np.float32)
        coefficients = _COEFFICIENTS[self._meta["shN"]["bands"]]
        centroids = self._pixels("shN", 0)[..., :3].reshape(-1, coefficients, 3)
        if centroids.size % (PALETTE_COLUMNS * coefficients * 3):
            raise ValueError("a palette of another width")
        labels = self._rows("shN", 1).astype(int)
        return self._values("shN", centroids[labels[:, 0] + 256 * labels[:, 1]])

    def _values(self, part: str, places: NDArray[np.uint8]) -> NDArray[np.float32]:
        values: NDArray[np.float32] = np.array(self._meta[part]["codebook"], np.float32)[places]
        return values

    def _rows(self, part: str, number: int) -> NDArray[np.uint8]:
        pixels = self._pixels(part, number)
        rows = pixels.reshape(-1, pixels.shape[-1])[: self._count]
        if len(rows) < self._count:
            raise ValueError(f"{part} has {len(rows):,} of {self._count:,} Gaussians")
        return rows

    def _pixels(self, part: str, number: int) -> NDArray[np.uint8]:
        content = self._archive.read(self._meta[part]["files"][number])
        return np.asarray(Image.open(io.BytesIO(content)))
