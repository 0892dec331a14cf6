"""Pictures that show how training goes: photo, render and normals side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.mesh.attributes import to_world
from maquette.recon.mesh.cleaning import drop_degenerate
from maquette.recon.mesh.clipping import clip_to_ball
from maquette.recon.mesh.marching import extract_surface
from maquette.recon.mesh.ply import write_ply
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.trained import TrainedSurface
from maquette.recon.surface.trainer import Trainer
from maquette.recon.views.images import read_image
from maquette.scene.atomic import replacing
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_MESH_CELLS = 96
_PIXELS = {"cpu": 24_000, "cuda": 250_000}  # of a preview: what takes a few seconds


class Preview:
    """Renders held-out (else training) views at reduced size.

    Args:
        frames: Views to choose from; the middle one is shown.
    """

    def __init__(
        self,
        scene: Scene,
        run: Path,
        frames: Sequence[Frame],
        config: TrainingConfig,
        device: torch.device,
    ) -> None:
        self.scene, self.run, self.config = scene, run, config
        self.frames = list(frames)
        self.pixels = _PIXELS[device.type]

    def write(self, trainer: Trainer) -> Path:
        """Write previews/iteration_XXXXXXXXX.png, and a coarse mesh beside it as .ply."""
        frame = self.frames[len(self.frames) // 2]
        photo = self._photo(frame)
        view = _surface(trainer).render(frame, photo.shape[1], photo.shape[0])
        normals = np.where(view.depth[..., None] > 0, view.normal * 0.5 + 0.5, 1.0)
        panels = np.concatenate([photo, view.rgb, normals], axis=1)
        path = self.run / "previews" / f"iteration_{trainer.iteration:09}.png"
        with replacing(path) as temporary:
            Image.fromarray((panels * 255 + 0.5).astype(np.uint8)).save(temporary)
        self._write_mesh(_surface(trainer), path.with_suffix(".ply"))
        return path

    def _write_mesh(self, surface: TrainedSurface, path: Path) -> None:
        box = surface.region.unit_box()
        mesh = extract_surface(surface.signed_distance, box, _MESH_CELLS, _MESH_CELLS)
        mesh = drop_degenerate(clip_to_ball(mesh))
        if len(mesh.faces):
            write_ply(path, to_world(mesh, surface.region), ("maquette preview; COLMAP units",))

    def psnr(self, trainer: Trainer) -> float:
        """Mean PSNR in dB over `data.val.subset` of the views, evenly chosen, at reduced size."""
        count = min(max(self.config.data.val.subset, 1), len(self.frames))
        chosen = np.linspace(0, len(self.frames) - 1, count).round().astype(int)
        surface = _surface(trainer)
        values = []
        for index in chosen:
            photo = self._photo(self.frames[index])
            view = surface.render(self.frames[index], photo.shape[1], photo.shape[0])
            error = float(np.mean((view.rgb - photo) ** 2))
            values.append(-10 * np.log10(max(error, 1e-10)))
        return round(float(np.mean(values)), 3)

    def _photo(self, frame: Frame) -> NDArray[np.float32]:
        """The photograph at the preview's size; [h, w, 3] float32 0..1."""
        lens, size = frame.intrinsics, self.config.data.val.image_size
        scale = min(1.0, (self.pixels / (lens.width * lens.height)) ** 0.5)
        if size:
            scale = min(scale, max(size) / max(lens.width, lens.height))
        return read_image(self.scene, frame, scale=scale).astype(np.float32) / 255.0


def _surface(trainer: Trainer) -> TrainedSurface:
    return TrainedSurface(trainer.model, trainer.phase, trainer.region, trainer.iteration)
