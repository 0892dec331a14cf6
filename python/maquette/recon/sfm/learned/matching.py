"""Features and matches by networks, of all pictures of a COLMAP database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from maquette.recon.gpus import device_of
from maquette.recon.sfm import colmap
from maquette.recon.sfm.learned import aliked, lightglue, weights
from maquette.recon.sfm.learned.database import Matches, add
from maquette.recon.sfm.learned.lightglue import Keypoints
from maquette.recon.sfm.pairs import Pair
from maquette.scene.events import Progress

_MAX_SIDE_PX = 1024
_MOST = 1024  # keypoints of a picture
_TRIAL = 256  # of them, in a trial of every pair
_TRIAL_MATCHES = 8


def complete(
    database: Path,
    folder: Path,
    wanted: Sequence[Pair],
    masks: Path | None,
    seed: int,
    progress: Progress,
) -> None:
    """Add learned features of the pictures of `folder`, and verified matches of `wanted` pairs.

    Args:
        wanted: Positions in the database's pictures, by name.
        masks: COLMAP's folder of masks; no feature lies where one is black.
    """
    names, device = colmap.image_names(database), device_of(1)
    found = extract(folder, names, masks, device, progress)
    matches = match(found, wanted, device, progress)
    add(database, names, [one.places.cpu().numpy() for one in found], matches, seed)


def extract(
    folder: Path, names: Sequence[str], masks: Path | None, device: torch.device, progress: Progress
) -> list[Keypoints]:
    """Find the learned features of the pictures, strongest first, each picture once."""
    network, found = weights.of_features(device), []
    with torch.inference_mode():
        for name in names:
            found.append(_features_of(network, folder / name, _mask(masks, name), device))
            progress.step("learned features", len(found), len(names))
    return found


def match(
    found: Sequence[Keypoints], wanted: Sequence[Pair], device: torch.device, progress: Progress
) -> Matches:
    """Match the `wanted` pairs; those whose strongest features do not match get none.

    Returns:
        For each pair positions in the two pictures' learned features, [K, 2].
    """
    network, strongest = weights.of_matcher(device), [_first(one, _TRIAL) for one in found]
    matches: Matches = {}
    with torch.inference_mode():
        for done, (i, j) in enumerate(wanted, 1):
            pair = lightglue.match(network, strongest[i], strongest[j])
            if len(pair) >= _TRIAL_MATCHES:
                pair = lightglue.match(network, found[i], found[j])
                matches[i, j] = pair.cpu().numpy().astype(np.uint32)
            progress.step("learned pairs", done, len(wanted))
    return matches


def _features_of(
    network: Mapping[str, torch.Tensor], picture: Path, mask: Path | None, device: torch.device
) -> Keypoints:
    with Image.open(picture) as image:
        size = image.size
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).to(device)
    usable = None
    scale = min(1.0, _MAX_SIDE_PX / max(size))
    small = (round(size[1] * scale), round(size[0] * scale))
    pixels = pixels.permute(2, 0, 1)[None].float() / 255
    if scale < 1:
        pixels = F.interpolate(pixels, small, mode="bilinear", antialias=True)
    if mask is not None:
        with Image.open(mask) as image:
            usable = torch.from_numpy(np.array(image.resize(small[::-1], 0)) > 0).to(device)
    places, descriptors = aliked.detect(network, pixels[0], _MOST, usable)
    ratio = places.new_tensor([size[0] / small[1], size[1] / small[0]])
    return Keypoints((places + 0.5) * ratio - 0.5, descriptors, size)


def _mask(masks: Path | None, name: str) -> Path | None:
    return masks / f"{name}.png" if masks else None


def _first(found: Keypoints, count: int) -> Keypoints:
    return Keypoints(found.places[:count], found.descriptors[:count], found.size)
