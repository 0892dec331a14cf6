"""Compare estimated cameras with the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.evaluate.similarity import Similarity, align_robustly, residuals

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CameraErrors:
    """Errors of all given cameras after alignment.

    Attributes:
        truth_from_world: The alignment; wrong cameras have no say in it.
        position: [N] distances, truth units.
        rotation_deg: [N] angles.
    """

    truth_from_world: Similarity
    position: FloatArray
    rotation_deg: FloatArray


def compare_cameras(estimated: FloatArray, true: FloatArray) -> CameraErrors:
    """Align estimated world_from_cam [N, 4, 4] to the true ones and measure every one.

    Raises:
        BadInput: fewer than three different positions.
    """
    centers, true_centers = estimated[:, :3, 3], true[:, :3, 3]
    similarity = align_robustly(centers, true_centers)
    turned = similarity.rotation @ estimated[:, :3, :3]  # [N, 3, 3]
    cosine = (np.einsum("nij,nij->n", turned, true[:, :3, :3]) - 1.0) / 2.0
    return CameraErrors(
        similarity,
        residuals(similarity, centers, true_centers),
        np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))),
    )
