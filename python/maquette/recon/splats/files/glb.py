"""Binary glTF 2.0 with the extension KHR_gaussian_splatting (release candidate of 2026-04).

Values are those after activation: rotation (x, y, z, w), standard deviations, opacity. glTF wants
+y up, so the Gaussians themselves are turned, with their colours' dependence on direction, and
no node turns them: not every viewer would turn that too. Viewers without the extension show
points in the colours of `COLOR_0`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon.mesh.gltf_file import Buffers, write_file
from maquette.recon.mesh.upright import rotation_between
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.turning import FloatArray, turned
from maquette.scene.color_space import linear_from_srgb

EXTENSION = "KHR_gaussian_splatting"
_Y_UP = np.array([0.0, 1.0, 0.0])
_POINTS = 0


def write_glb(path: Path, gaussians: Gaussians, up: FloatArray, name: str) -> None:
    """Write Gaussians, whole or not at all; `up` [3] is the direction that becomes +y."""
    upright = turned(gaussians, rotation_between(up / np.linalg.norm(up), _Y_UP))
    buffers = Buffers()
    primitive: dict[str, Any] = {
        "mode": _POINTS,
        "attributes": _attributes(upright, buffers),
        "extensions": {EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    }
    scene = {
        "asset": {"version": "2.0", "generator": "maquette"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [primitive]}],
    }
    write_file(path, scene, buffers)


def _attributes(upright: Gaussians, buffers: Buffers) -> dict[str, int]:
    colors = upright.base_colors.numpy(force=True).clip(0, 1)
    opacities = upright.opacities.numpy(force=True)
    rgba = np.concatenate([linear_from_srgb(colors), opacities[:, None]], axis=1)
    rotations = upright.rotations.numpy(force=True)[:, [1, 2, 3, 0]]
    own = {
        "ROTATION": buffers.add(_floats(rotations), "VEC4"),
        "SCALE": buffers.add(_floats(upright.scales.numpy(force=True)), "VEC3"),
        "OPACITY": buffers.add(_floats(opacities), "SCALAR"),
    }
    sh = upright.sh.numpy(force=True)
    for degree in range(upright.degree + 1):
        for index in range(2 * degree + 1):
            coefficient = _floats(sh[:, degree**2 + index])
            own[f"SH_DEGREE_{degree}_COEF_{index}"] = buffers.add(coefficient, "VEC3")
    means = _floats(upright.means.numpy(force=True))
    return {
        "POSITION": buffers.add(means, "VEC3", limits=True),
        "COLOR_0": buffers.add(np.round(rgba * 65535).astype("<u2"), "VEC4"),
        **{f"{EXTENSION}:{key}": accessor for key, accessor in own.items()},
    }


def _floats(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, "<f4")
