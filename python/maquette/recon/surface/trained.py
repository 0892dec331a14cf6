"""A trained surface: signed distance, colours and views of a checkpoint, without gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.geometry.rays import Cameras, Rays, pixel_centers
from maquette.recon.surface import states
from maquette.recon.surface.model import Phase, Shaded, SurfaceModel
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_POINTS_AT_ONCE = 1 << 16
_SOLID = 0.5  # opacity from which a pixel shows the surface


@dataclass(frozen=True)
class RenderedView:
    """One rendered image.

    Attributes:
        rgb: [H, W, 3] float32, sRGB 0..1.
        depth: [H, W] float32, along the camera's +z, world units; 0 = background.
        normal: [H, W, 3] float32, unit length, world axes; 0 = background.
    """

    rgb: NDArray[np.float32]
    depth: NDArray[np.float32]
    normal: NDArray[np.float32]


class TrainedSurface:
    """What a checkpoint knows; all points are in unit space (see geometry/CONVENTIONS.md).

    Attributes:
        region: The region it was trained in; a scene's box may have changed since.
        iteration: How long it was trained.
    """

    def __init__(self, model: SurfaceModel, phase: Phase, region: Region, iteration: int) -> None:
        self._model, self._phase = model, phase
        self.region, self.iteration = region, iteration
        self._device = model.variance.device

    @property
    def sharpness(self) -> float:
        """S of the density; 1/s is the surface's softness in unit space."""
        return self._model.sharpness(self._phase).item()

    @torch.no_grad()
    def signed_distance(self, points_unit: NDArray[np.floating]) -> NDArray[np.float32]:
        """Signed distance [N] of points [N, 3], negative inside, unit-space lengths."""
        points = self._tensor(points_unit)
        parts = [
            self._model.distance(part, self._phase) for part in torch.split(points, _POINTS_AT_ONCE)
        ]
        return _array(torch.cat(parts)) if parts else np.zeros(0, np.float32)

    @torch.no_grad()
    def colors(
        self, points_unit: NDArray[np.floating], normals: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Surface colours [N, 3] in 0..1, seen against the outward normals [N, 3]."""
        parts = []
        pairs = zip(
            torch.split(self._tensor(points_unit), _POINTS_AT_ONCE),
            torch.split(self._tensor(normals), _POINTS_AT_ONCE),
            strict=True,
        )
        for points, outward in pairs:
            features = self._model.sdf(points, self._phase.active)[1]
            codes = self._model.codes(None, len(points))
            parts.append(self._model.color(points, outward, -outward, features, codes))
        return _array(torch.cat(parts)) if parts else np.zeros((0, 3), np.float32)

    @torch.no_grad()
    def render(self, frame: Frame, width: int, height: int, chunk: int = 4096) -> RenderedView:
        """Render the view of a frame resized to width × height, background included."""
        small = replace(frame, intrinsics=frame.intrinsics.scaled(width, height))
        pixels = pixel_centers(width, height, self._device)
        camera = Cameras.of([small], self.region, self._device)
        rays = camera.rays(torch.zeros(len(pixels), dtype=torch.long, device=self._device), pixels)
        parts = [
            self._render_part(_part(rays, start, chunk)) for start in range(0, len(pixels), chunk)
        ]
        rgb, depth, normal = (torch.cat(columns) for columns in zip(*parts, strict=True))
        return RenderedView(
            rgb=_array(rgb.clamp(0, 1)).reshape(height, width, 3),
            depth=_array(depth * self.region.radius).reshape(height, width),
            normal=_array(normal).reshape(height, width, 3),
        )

    def _render_part(self, rays: Rays) -> tuple[Tensor, Tensor, Tensor]:
        shaded = self._model.shade(rays, None, self._phase, None)
        distance, normal = _summarise(shaded)
        solid = (shaded.opacity > _SOLID).float()
        return shaded.rgb, distance * rays.cosines * solid, normal * solid[:, None]

    def _tensor(self, values: NDArray[np.floating]) -> Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float32), device=self._device)


def load(checkpoint: Path, device: str = "auto") -> TrainedSurface:
    """Load a checkpoint for reading.

    Raises:
        NotFound: no such file.
        BadInput: it is damaged, or not of this engine.
    """
    where = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    )
    state = states.read(checkpoint)
    model = states.rebuild_model(state).to(where).eval()
    phase = Phase(state["phase"]["active"], state["phase"]["sharpness_floor"])
    return TrainedSurface(model, phase, states.region_of(state), state["iteration"])


def _summarise(shaded: Shaded) -> tuple[Tensor, Tensor]:
    """Mean distance [R] and unit normal [R, 3] of each ray's shaded sections."""
    count = len(shaded.rgb)
    total = shaded.weight.new_zeros(count).index_add(0, shaded.ray, shaded.weight)
    far = shaded.weight.new_zeros(count).index_add(0, shaded.ray, shaded.weight * shaded.along)
    normals = shaded.weight[:, None] * shaded.probe.normals
    normal = normals.new_zeros(count, 3).index_add(0, shaded.ray, normals)
    return far / total.clamp(min=1e-9), torch.nn.functional.normalize(normal, dim=-1)


def _part(rays: Rays, start: int, count: int) -> Rays:
    end = start + count
    return Rays(rays.origins[start:end], rays.directions[start:end], rays.cosines[start:end])


def _array(values: Tensor) -> NDArray[np.float32]:
    result: NDArray[np.float32] = values.float().cpu().numpy()
    return result
