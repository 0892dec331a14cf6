"""Splats by parts of space and levels of detail, as a viewer streams them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maquette.recon.splats.files.sog_reading import read_sog
from maquette.recon.splats.files.streamed_sog import Division, coarser, write_streamed_sog
from maquette.recon.splats.gaussians import Gaussians
from splat_scene import lopsided

SMALL = Division(leaf=200, file=300, levels=3)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_streamed_sog(tmp_path_factory.mktemp("lod") / "owl", lopsided(1000, 1), SMALL)


def leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    if "lods" in node:
        return [node]
    return [leaf for child in node["children"] for leaf in leaves(child)]


def rows(index: Path, leaf: dict[str, Any], level: int) -> Gaussians:
    """What a viewer shows of a leaf at a level."""
    told = json.loads(index.read_text())
    place = leaf["lods"][str(level)]
    folder = (index.parent / told["filenames"][place["file"]]).parent
    packed = folder.with_suffix(".sog")
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    whole = read_sog(packed)
    return whole.chosen(torch.arange(place["offset"], place["offset"] + place["count"]))


def test_all_splats_are_at_the_finest_level_once_and_in_their_boxes(streamed: Path) -> None:
    told = json.loads(streamed.read_text())
    assert (told["version"], told["lodLevels"]) == (1, 3)
    parts = leaves(told["tree"])
    assert all(leaf["lods"]["0"]["count"] <= SMALL.leaf for leaf in parts)
    shown = [rows(streamed, leaf, 0) for leaf in parts]
    for leaf, part in zip(parts, shown, strict=True):
        low, high = np.array(leaf["bound"]["min"]), np.array(leaf["bound"]["max"])
        assert (part.means.numpy() > low - 1e-2).all()
        assert (part.means.numpy() < high + 1e-2).all()
    found = torch.cat([part.means for part in shown])
    given = lopsided(1000, 1).means
    assert len(found) == len(given)
    for axis in range(3):
        error = (found[:, axis].sort().values - given[:, axis].sort().values).abs()
        assert error.max() < 0.02


def test_each_level_has_a_quarter_and_the_coarsest_is_in_few_files(streamed: Path) -> None:
    told = json.loads(streamed.read_text())
    assert told["count"] == sum(told["counts"])
    assert told["counts"][0] == 1000
    for fine, coarse in zip(told["counts"], told["counts"][1:], strict=False):
        assert fine / 4.5 < coarse <= fine / 4
    files = [[name for name in told["filenames"] if name.startswith(f"{k}_")] for k in range(3)]
    assert [len(names) for names in files] == [4, 1, 1]
    parts = leaves(told["tree"])
    assert [sum(leaf["lods"][str(k)]["count"] for leaf in parts) for k in range(3)] == told[
        "counts"
    ]


def test_a_coarser_level_covers_as_much_in_the_colours_of_all() -> None:
    side = 32
    grid = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="xy"), -1)
    means = torch.cat([grid.reshape(-1, 2).float(), torch.zeros(side * side, 1)], dim=1)
    colors = torch.rand(side * side, 1, 3, generator=torch.Generator().manual_seed(2))
    floor = Gaussians(
        means=means,
        log_scales=torch.full((side * side, 3), -0.5),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).repeat(side**2, 1),
        opacity_logits=torch.full((side * side,), 3.0),
        sh=colors,
    )
    less = coarser(floor)
    assert len(less) == len(floor) // 4
    area = [float((part.scales[:, 0] * part.scales[:, 1]).sum()) for part in (floor, less)]
    assert area[1] == pytest.approx(area[0], rel=1e-5)
    assert less.sh.mean() == pytest.approx(float(floor.sh.mean()), abs=1e-5)
    assert less.sh.std() < 0.6 * floor.sh.std()


def test_a_few_splats_are_one_leaf_of_equal_levels(tmp_path: Path) -> None:
    index = write_streamed_sog(tmp_path, lopsided(5, 0), SMALL)
    told = json.loads(index.read_text())
    assert told["counts"] == [5, 5, 5]
    assert set(told["tree"]["lods"]) == {"0", "1", "2"}
