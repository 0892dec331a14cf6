"""Views that do not train: what they measure, and pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maquette.recon.splats.files.ply import write_ply
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.losses import ssim
from maquette.recon.splats.pictures import Picture, Pictures
from maquette.scene.atomic import replacing
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_MOST = 6
_MOST_PIXELS = {"cpu": 500, "cuda": 1600}  # of the long side, so that looking takes little time
Show = Callable[[Gaussians, Picture], Tensor]


class HeldOut:
    """At most six views, evenly chosen.

    Args:
        long_side: Larger photographs are reduced to this, pixels.
    """

    def __init__(
        self, scene: Scene, frames: Sequence[Frame], device: torch.device, long_side: int | None
    ) -> None:
        chosen = np.linspace(0, len(frames) - 1, min(_MOST, len(frames))).round().astype(int)
        side = min(long_side or _MOST_PIXELS[device.type], _MOST_PIXELS[device.type])
        self.pictures = Pictures(scene, [frames[index] for index in chosen], device, side)


@torch.no_grad()
def measure(splats: Gaussians, views: HeldOut, show: Show) -> dict[str, float]:
    """Mean PSNR in dB and mean SSIM of the views, over the pixels that masks leave."""
    found = []
    for index in range(len(views.pictures)):
        picture = views.pictures.get(index)
        seen = show(splats, picture)
        if picture.mask is not None:
            seen = torch.where(picture.mask, seen, picture.photo)
        used = seen.numel() if picture.mask is None else 3 * max(1, int(picture.mask.sum()))
        error = float((seen - picture.photo).square().sum()) / used
        similar = float(ssim(seen, picture.photo, picture.mask))
        found.append((-10.0 * float(np.log10(max(error, 1e-10))), similar))
    psnr, similar = np.mean(found, axis=0)
    return {"psnr": round(float(psnr), 3), "ssim": round(float(similar), 4)}


@torch.no_grad()
def write_preview(stem: Path, splats: Gaussians, views: HeldOut, show: Show) -> Sequence[Path]:
    """Write `<stem>.png`, a photo beside its rendering, and `<stem>.ply`."""
    picture = views.pictures.get(len(views.pictures) // 2)
    both = torch.cat([picture.photo, show(splats, picture)], dim=2)
    pixels = (both.permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).cpu().numpy()
    image, cloud = stem.with_suffix(".png"), stem.with_suffix(".ply")
    stem.parent.mkdir(parents=True, exist_ok=True)
    with replacing(image) as temporary:
        Image.fromarray(pixels).save(temporary)
    write_ply(cloud, splats)
    return image, cloud
