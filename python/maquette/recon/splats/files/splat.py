"""`.splat`: 32 bytes a Gaussian, without a header, the most important ones first.

Position (3 float32), standard deviations (3 float32), colour and opacity (4 bytes), and the
rotation (w, x, y, z as 128 + 128·q in bytes). It has no colour that depends on direction.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from maquette.errors import BadInput, NotFound
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.importance import by_importance
from maquette.scene.atomic import replacing

ROW_BYTES = 32
_ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])


def write_splat(path: Path, gaussians: Gaussians) -> None:
    """Write Gaussians, whole or not at all; any number of rows from the front is a preview."""
    ordered = by_importance(gaussians)
    rows = np.empty(len(ordered), _ROW)
    rows["mean"] = ordered.means.numpy(force=True)
    rows["scale"] = ordered.scales.numpy(force=True)
    rgba = torch.cat([ordered.base_colors, ordered.opacities[:, None]], dim=1)
    rows["rgba"] = to_bytes(rgba.numpy(force=True) * 255)
    rows["rotation"] = to_bytes(ordered.rotations.numpy(force=True) * 128 + 128)
    with replacing(path) as temporary:
        temporary.write_bytes(rows.tobytes())


def read_splat(path: Path) -> Gaussians:
    """Read Gaussians of degree 0.

    Raises:
        NotFound: there is no such file.
        BadInput: its size is not that of whole rows.
    """
    if not path.is_file():
        raise NotFound(f"no splats: `{path}`", hint="run `make extract PIPELINE=splat` first")
    size = path.stat().st_size
    if size % ROW_BYTES or not size:
        raise BadInput(
            f"`{path}` is cut off or no `.splat`: {size:,} bytes are no whole number of rows of 32",
            hint="copy or make the file again",
        )
    rows = np.fromfile(path, _ROW)
    rgba = torch.from_numpy(rows["rgba"].astype(np.float32) / 255)
    quaternions = (rows["rotation"].astype(np.float32) - 128) / 128
    return Gaussians(
        means=torch.from_numpy(rows["mean"].copy()),
        log_scales=torch.from_numpy(np.log(np.maximum(rows["scale"], 1e-30))),
        quaternions=torch.from_numpy(quaternions),
        opacity_logits=torch.logit(rgba[:, 3], eps=1e-3),
        sh=((rgba[:, :3] - 0.5) / SH_C0)[:, None],
    )


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Round to bytes; what lies beyond 0..255 is cut."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
