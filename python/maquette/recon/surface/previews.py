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
from maquette.recon.surface.config import ValData
from maquette.recon.surface.trained import TrainedSurface
from maquette.recon.views.images import read_image
from maquette.scene.atomic import replacing
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_MESH_CELLS = 96
_PIXELS = {"cpu": 24_000, "cuda": 250_000}  # of a preview: what takes a few seconds


class Preview:
    """Renders held-out (else training) views at reduced size.

    Args:
        kept: Views that train; one of these is shown where none is held out.
        held_out: Views that are shown and measured.
    """

    def __init__(
        self,
        scene: Scene,
        kept: Sequence[Frame],
        held_out: Sequence[Frame],
        values: ValData,
        device: torch.device,
    ) -> None:
        self.scene, self.values = scene, values
        self.kept, self.held_out = list(kept), list(held_out)
        self.pixels = _PIXELS[device.type]

    def write(self, surface: TrainedSurface, folder: Path) -> list[Path]:
        """Write iteration_XXXXXXXXX.png of the middle view, and a coarse mesh beside it as .ply."""
        frames = self.held_out or self.kept
        frame = frames[len(frames) // 2]
        photo = self._photo(frame)
        view = surface.render(frame, photo.shape[1], photo.shape[0])
        normals = np.where(view.depth[..., None] > 0, view.normal * 0.5 + 0.5, 1.0)
        panels = np.concatenate([photo, view.rgb, normals], axis=1)
        path = folder / f"iteration_{surface.iteration:09}.png"
        with replacing(path) as temporary:
            Image.fromarray((panels * 255 + 0.5).astype(np.uint8)).save(temporary)
        return [path, *self._write_mesh(surface, path.with_suffix(".ply"))]

    def _write_mesh(self, surface: TrainedSurface, path: Path) -> list[Path]:
        box = surface.region.unit_box()
        mesh = extract_surface(surface.signed_distance, box, _MESH_CELLS, _MESH_CELLS)
        mesh = drop_degenerate(clip_to_ball(mesh))
        if not len(mesh.faces):
            return []
        write_ply(path, to_world(mesh, surface.region), ("maquette preview; COLMAP units",))
        return [path]

    def psnr(self, surface: TrainedSurface) -> float | None:
        """Mean PSNR in dB over `data.val.subset` of the held-out views, at reduced size.

        Returns:
            None where no view is held out.
        """
        if not self.held_out:
            return None
        count = min(max(self.values.subset, 1), len(self.held_out))
        chosen = np.linspace(0, len(self.held_out) - 1, count).round().astype(int)
        errors = []
        for index in chosen:
            photo = self._photo(self.held_out[index])
            view = surface.render(self.held_out[index], photo.shape[1], photo.shape[0])
            errors.append(max(float(np.mean((view.rgb - photo) ** 2)), 1e-10))
        return round(float(np.mean(-10 * np.log10(errors))), 3)

    def _photo(self, frame: Frame) -> NDArray[np.float32]:
        """The photograph at the preview's size; [h, w, 3] float32 0..1."""
        lens, size = frame.intrinsics, self.values.image_size
        scale = min(1.0, (self.pixels / (lens.width * lens.height)) ** 0.5)
        if size:
            scale = min(scale, max(size) / max(lens.width, lens.height))
        return read_image(self.scene, frame, scale=scale).astype(np.float32) / 255.0
