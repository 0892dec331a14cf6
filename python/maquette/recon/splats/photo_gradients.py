"""What one photograph says of Gaussians, and of what is learned besides them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.recon.splats.corrections import Corrections
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.losses import photo_loss
from maquette.recon.splats.normals import normal_loss
from maquette.recon.splats.pictures import Picture
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.renderings import Footprints
from maquette.recon.splats.sparse_depth import SparseDepth


@dataclass(frozen=True)
class PhotoGradients:
    """The loss of a photograph, differentiated.

    Attributes:
        depth: Of sparse points, which count `depth_weight` beside the photograph; None: no matter.
        extent: Of the scene, world units.
        antialias: See `rasteriser.render`.
    """

    corrections: Corrections
    depth: SparseDepth | None
    depth_weight: float
    extent: float
    antialias: bool

    def add(
        self, splats: Gaussians, picture: Picture, view: int, normal_weight: float = 0.0
    ) -> tuple[Tensor, Footprints]:
        """Add the gradients of a training view to the leaves that `splats` is made of.

        Args:
            normal_weight: How much `normal_loss` counts beside the photograph.

        Returns:
            Loss and PSNR in dB, [2], and the footprints, whose score is where the picture is
            wrong.
        """
        camera = self.corrections.camera(picture.camera, view)
        shown = render(splats, camera, self.antialias)
        color = self.corrections.color(shown.color, shown.passing, view)
        loss = photo_loss(color, picture.photo, picture.mask)
        if self.depth is not None:
            loss = loss + self.depth_weight * self.depth.loss(view, camera, shown, self.extent)
        if normal_weight:
            loss = loss + normal_weight * normal_loss(splats, shown, camera, self.antialias)
        footprints = shown.footprints
        assert footprints is not None
        wrong = (color.detach() - picture.photo).abs().mean(0)
        footprints.score = wrong if picture.mask is None else wrong * picture.mask
        torch.autograd.backward(loss)
        return torch.stack([loss.detach(), _psnr(color.detach(), picture)]), footprints


def _psnr(color: Tensor, picture: Picture) -> Tensor:
    """PSNR in dB over the pixels that the mask leaves."""
    error = (color - picture.photo).square()
    if picture.mask is not None:
        error = error * picture.mask * (picture.mask.numel() / picture.mask.sum().clamp(1))
    return -10.0 * torch.log10(error.mean().clamp(min=1e-10))
