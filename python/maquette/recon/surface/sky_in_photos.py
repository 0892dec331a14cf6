"""Which pixels of the training photographs show sky: there no surface may hide what is behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maquette.recon.mvs.sky_files import read_sky
from maquette.scene.transforms import Frame


@dataclass(frozen=True)
class SkyInPhotos:
    """Sky by photo, eight pixels a byte.

    Attributes:
        bits: [N, H, B] uint8, the leftmost pixel highest; 0 beyond a photo's own size.
        scale: [N, 2] float32, pixels of these maps for one of the photo, (x, y).
    """

    bits: Tensor
    scale: Tensor

    def shown_at(self, image: Tensor, position: Tensor) -> Tensor:
        """Whether sky is at positions [R, 2] (x, y) in pixels of images [R] int64; [R] bool."""
        column, row = (position * self.scale[image]).long().unbind(1)
        byte = self.bits[image, row, column // 8].long()
        return (byte >> (7 - column % 8)) & 1 > 0


def read(path: Path, frames: Sequence[Frame], device: torch.device) -> SkyInPhotos | None:
    """Read the sky of some photos; None when none of them shows any.

    Args:
        frames: With cameras of the sizes that positions will be asked in.

    Raises:
        BadInput: the file is damaged.
    """
    shown = read_sky(path)
    names = [Path(frame.file_path).name for frame in frames]
    found = [shown[name] for name in names if name in shown]
    if not found:
        return None
    height, width = np.max([sky.shape for sky in found], axis=0)
    bits = np.zeros((len(frames), height, -(-width // 8)), np.uint8)
    scale = np.zeros((len(frames), 2), np.float32)
    for number, (name, frame) in enumerate(zip(names, frames, strict=True)):
        if name not in shown:
            continue
        packed = np.packbits(shown[name], axis=1)
        bits[number, : packed.shape[0], : packed.shape[1]] = packed
        lens = frame.intrinsics
        scale[number] = np.divide(shown[name].shape[::-1], (lens.width, lens.height))
    return SkyInPhotos(torch.from_numpy(bits).to(device), torch.from_numpy(scale).to(device))
