"""What `make view` makes of files of splats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from maquette.recon.splats.files.splat import write_splat
from maquette.recon.splats.importance import by_importance
from maquette.recon.splats.turning import scaled
from maquette.scene.paths import Scene
from splat_scene import lopsided

pytest.importorskip("viser", reason="pip install -e 'python[view]'")
from maquette.viewer.splats import read, splat_files


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_a_page_shows_splats_as_they_are_in_the_world(tmp_path: Path, scale: float) -> None:
    splats = lopsided(50)
    write_splat(tmp_path / "a.splat", scaled(splats, scale))
    (tmp_path / "manifest.json").write_text(json.dumps({"metadata": {"scene_scale": scale}}))
    shown, wanted = read(tmp_path / "a.splat"), by_importance(scaled(splats, scale))
    wanted = scaled(wanted, 1 / scale)
    assert np.allclose(shown.centers, wanted.means, atol=1e-5)
    # The axes are those whose lengths the scales tell.
    lengths = np.sqrt(np.linalg.eigvalsh(shown.covariances.astype(np.float64)))
    assert np.allclose(lengths, wanted.scales.sort(dim=1).values, rtol=2e-3)
    w, x, y, z = wanted.rotations.T
    first = torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], dim=1)
    along = np.einsum("ni,nij,nj->n", first, shown.covariances, first)
    assert np.allclose(along, wanted.scales[:, 0] ** 2, rtol=0.15, atol=1e-6)
    assert np.allclose(shown.opacities[:, 0], wanted.opacities, atol=3e-3)


def test_files_of_splats_are_found_by_their_kind(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "splat")
    scene.results.mkdir(parents=True)
    (scene.results / "a.sog").write_bytes(b"1")
    (scene.results / "a.png").write_bytes(b"1")
    assert splat_files(scene) == [scene.results / "a.sog"]
