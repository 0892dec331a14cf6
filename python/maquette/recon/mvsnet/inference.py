"""Depth maps of photographs by a network, in pieces that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvsnet import planes
from maquette.recon.mvsnet.normals import normals_of
from maquette.recon.mvsnet.prediction import Prediction
from maquette.scene.transforms import Frame

_PIECE_PIXELS = 800_000
_OVERLAP = 64  # pixels around a piece that it sees besides, and that its neighbours tell of
_GRID = 16  # pixels: corners of pieces lie on it, and so on pixels of all feature maps
_KEPT = 12  # views whose features are in memory: neighbours share most of their sources


@dataclass(frozen=True)
class PhotoView:
    """What a network needs of a view.

    Attributes:
        frame: Its camera, of the picture's size.
        image: [H, W, 3] uint8 sRGB.
    """

    frame: Frame
    image: NDArray[np.uint8]


class DepthNetwork:
    """A network with the photographs that it is asked about, by number.

    Args:
        network: As `networks.build` makes them.
        read: The view of a number.
        piece_pixels: Most pixels of a piece; a picture of more is computed in several.
    """

    def __init__(
        self, network: nn.Module, read: Callable[[int], PhotoView], device: torch.device,
        piece_pixels: int = _PIECE_PIXELS,
    ) -> None:  # fmt: skip
        self._network: Any = network.to(device).eval().requires_grad_(False)
        self._read, self._device, self._piece_pixels = read, device, piece_pixels
        self._features = lru_cache(_KEPT)(self._extract)

    def depth_map(self, view: int, sources: Sequence[int], span: tuple[float, float]) -> DepthMap:
        """The map of a view of its picture's size; costs are 1 − confidence.

        Args:
            sources: Numbers of its source views, one at least.
            span: Least and largest depth.
        """
        if not sources:
            raise ValueError("a depth map needs at least one source view")
        if not 0 < span[0] < span[1]:
            raise ValueError(f"depths must lie between two positive numbers, not {span}")
        frame = self._read(view).frame
        height, width = frame.intrinsics.height, frame.intrinsics.width
        depth, costs = np.zeros((height, width), np.float32), np.ones((height, width), np.float32)
        with torch.inference_mode():
            for piece in pieces(width, height, self._piece_pixels):
                found = self._piece(view, sources, span, piece)
                inner = np.s_[piece.top : piece.bottom, piece.left : piece.right]
                here = np.s_[
                    piece.top - piece.y : piece.bottom - piece.y,
                    piece.left - piece.x : piece.right - piece.x,
                ]
                depth[inner], costs[inner] = found[0][here], 1 - found[1][here]
        return DepthMap(depth, normals_of(depth, frame.intrinsics), costs)

    def _piece(
        self, view: int, sources: Sequence[int], span: tuple[float, float], piece: Piece
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        strides = self._network.strides
        reference = [
            maps[..., piece.y // s : -(-piece.end_y // s), piece.x // s : -(-piece.end_x // s)]
            for maps, s in zip(self._features(view), strides, strict=True)
        ]
        frames = [self._read(number).frame for number in (view, *sources)]
        projections = np.stack([projection(frame) for frame in frames])
        moved = np.eye(4)
        moved[:2, 2] = -piece.x, -piece.y
        projections[0] = moved @ projections[0]
        found: Prediction = self._network.sweep(
            [reference, *map(self._features, sources)],
            torch.from_numpy(projections[None]).float().to(self._device),
            torch.tensor([span], device=self._device),
        )
        size = piece.end_y - piece.y, piece.end_x - piece.x
        parts = (_raised(part, size) for part in (found.depth, found.confidence))
        depth, confidence = (part[0].cpu().numpy() for part in parts)
        return depth, confidence

    def _extract(self, number: int) -> list[Tensor]:
        image = np.ascontiguousarray(self._read(number).image.transpose(2, 0, 1))
        pixels = torch.from_numpy(image).to(self._device)[None].float() / 255
        maps: list[Tensor] = self._network.extract(pixels)
        return maps


@dataclass(frozen=True)
class Piece:
    """Part of a picture, pixels: what it tells of, and the larger part that it sees.

    Attributes:
        left, top, right, bottom: What it tells of; ends are exclusive.
        x, y, end_x, end_y: What it sees.
    """

    left: int
    top: int
    right: int
    bottom: int
    x: int
    y: int
    end_x: int
    end_y: int


def pieces(width: int, height: int, most: int) -> list[Piece]:
    """Cut a picture so that no piece sees more than about `most` pixels."""
    side = max(int(most**0.5) - 2 * _OVERLAP, 4 * _GRID)
    if width * height <= most:
        side = max(width, height)
    columns, rows = _cuts(width, side), _cuts(height, side)
    return [
        Piece(
            left, top, right, bottom,
            max(left - _OVERLAP, 0), max(top - _OVERLAP, 0),
            min(right + _OVERLAP, width), min(bottom + _OVERLAP, height),
        )
        for (top, bottom), (left, right) in product(rows, columns)
    ]  # fmt: skip


def projection(frame: Frame) -> NDArray[np.float64]:
    """[4, 4] from the world to pixels, times depth."""
    matrix = np.eye(4)
    matrix[:3] = frame.intrinsics.matrix() @ np.linalg.inv(frame.world_from_cam)[:3]
    return matrix


def _cuts(length: int, side: int) -> list[tuple[int, int]]:
    count = -(-length // side)
    edges = [*(round(length * part / count / _GRID) * _GRID for part in range(count)), length]
    return list(pairwise(edges))


def _raised(part: Tensor, size: tuple[int, int]) -> Tensor:
    """A map [B, h, w] at the pictures' size, where the network tells a part of its pixels."""
    while part.shape[1:] != size:
        height, width = (min(2 * a, b) for a, b in zip(part.shape[1:], size, strict=True))
        part = planes.doubled(part, height, width)
    return part
