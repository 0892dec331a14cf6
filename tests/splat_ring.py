"""A tiny scene for training splats: coloured balls, and photographs from a ring of cameras."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels.checks import random_gaussians
from maquette.recon.splats.rasteriser import render
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame, Intrinsics

CPU = torch.device("cpu")


def truth_of_the_ring() -> Gaussians:
    """Coloured balls about the origin."""
    truth = random_gaussians(60, 0, CPU)
    truth.means[:] = 0.4 * (truth.means - torch.tensor([0.0, 0.0, 3.0]))
    truth.log_scales[:] = math.log(0.12)
    truth.opacity_logits[:] = 3.0
    truth.sh[:] = torch.rand(truth.sh.shape, generator=torch.Generator().manual_seed(3)) * 3 - 1.2
    return truth


def frames_around(scene: Scene, count: int, size: int) -> list[Frame]:
    """Cameras in a ring that look at the origin, and their photographs."""
    truth = truth_of_the_ring()
    scene.images.mkdir(parents=True)
    frames = []
    for n in range(count):
        turn = 2 * math.pi * n / count
        z = -np.array([math.cos(turn), math.sin(turn), 0.3])
        z /= np.linalg.norm(z)
        x = np.cross(z, [0, 0, 1.0])
        x /= np.linalg.norm(x)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
        pose[:3, 3] = -3.0 * z
        lens = Intrinsics(size, size, 1.2 * size, 1.2 * size, size / 2, size / 2)
        frames.append(Frame(f"images/{n:06}.png", pose, lens))
        save_photo(scene, frames[-1], truth)
    return frames


def save_photo(scene: Scene, frame: Frame, truth: Gaussians) -> None:
    seen = render(truth, Camera.of(frame, CPU)).color.clamp(0, 1)
    pixels = (seen.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(scene.root / frame.file_path)
