"""The kernels of mesh refinement beside their twins: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from maquette.recon.kernel_checks import Case
from maquette.recon.mesh_refinement.agreement import (
    MARGIN,
    Reference,
    Sources,
    Window,
    evaluate,
)
from maquette.recon.mesh_refinement.visible_faces import see
from maquette.scene.transforms import Frame, Intrinsics

_SIZES = ((32, 21), (320, 241))
_DEPTH, _SHIFTS = 1.6, (-0.2, 0.25)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """A soup of triangles drawn, and a plane compared between three views."""
    for width, height in _SIZES[:1] if quick else _SIZES:
        yield from _cases(width, height, device)


def make_kernels() -> Iterator[str]:
    """Use each kernel once, on the CPU."""
    for case in _cases(16, 8, torch.device("cpu")):
        case.fast()
    yield "mesh refinement"


def _cases(width: int, height: int, device: torch.device) -> Iterator[Case]:
    size = f"{width} × {height} pixels"
    random = np.random.default_rng(0)
    soup = torch.tensor(random.uniform((-1, -1, 1), (1, 1, 4), (60, 3)), dtype=torch.float32)
    faces = torch.tensor(random.integers(0, 60, (40, 3)), dtype=torch.int32)
    lens = Intrinsics(width, height, 1.1 * width, 1.1 * width, width / 2, height / 2)
    frame, given = Frame("0.png", np.eye(4), lens), (soup.to(device), faces.to(device))
    fast, slow = (partial(_drawn, given, frame, fast) for fast in (True, False))
    yield Case("faces drawn", size, fast, slow, 1e-5, 8 * width * height)
    reference, sources = plane_before_three_cameras(width, height, device)
    fast, slow = (partial(evaluate, reference, sources, Window(), fast) for fast in (True, False))
    yield Case("photos compared", size, fast, slow, 1e-3, 50 * 2 * width * height)


def _drawn(given: tuple[Tensor, Tensor], frame: Frame, fast: bool) -> Tensor:
    """Depth and number of the face at each pixel."""
    seen = see(*given, frame, fast)
    return torch.stack([seen.depth, seen.face.float()])


def plane_before_three_cameras(
    width: int, height: int, device: torch.device
) -> tuple[Reference, Sources]:
    """A picture on a plane, seen by cameras side by side; it is taken to be a little too near."""
    width = -(-width // 16) * 16
    focal, waves = 1.1 * width, np.random.default_rng(1).uniform(5, 40, (12, 2))
    y, x = np.mgrid[:height, :width] + 0.5
    pictures = []
    for shift in (0.0, *_SHIFTS):
        place = np.stack([(x - width / 2) / focal * _DEPTH + shift, (y - height / 2) / focal])
        light = np.sin(np.tensordot(waves, place, 1) + np.arange(12)[:, None, None]).sum(0)
        pictures.append(np.clip(127 + 25 * light, 0, 255).astype(np.uint8))
    near = 0.98 * _DEPTH
    planes = torch.zeros(height + 2 * MARGIN, width + 2 * MARGIN, 3)
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    planes[inner] = torch.tensor([0.0, 0.0, 1 / near])
    image = torch.zeros(planes.shape[:2])
    image[inner] = torch.from_numpy(pictures[0]).float()
    reference = Reference(
        image.to(device), planes.to(device), -MARGIN, -MARGIN, (focal, focal, width / 2, height / 2)
    )
    lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    cameras = [
        np.concatenate([lens.reshape(-1), lens @ [-shift, 0, 0], [shift, 0, 0]])
        for shift in _SHIFTS
    ]
    area = width * height
    return reference, Sources(
        torch.from_numpy(np.stack(pictures)).reshape(-1).to(device),
        torch.full((3 * area,), near, device=device),
        torch.tensor([[n * area, width, height] for n in range(3)], device=device),
        torch.tensor([1, 2], dtype=torch.int32, device=device),
        torch.tensor(np.stack(cameras), dtype=torch.float32, device=device),
    )
