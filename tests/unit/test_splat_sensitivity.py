"""What pictures tell of how far numbers may be rounded, and files that heed it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.exporting import export, formats
from maquette.recon.splats.files.ply import read_ply
from maquette.recon.splats.files.sog import write_sog
from maquette.recon.splats.files.sog_reading import read_sog
from maquette.recon.splats.files.sog_steps import even_steps, steps_for
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.sensitivity import Sensitivity, sensitivity_in
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame
from splat_ring import frames_around, truth_of_the_ring

CPU = torch.device("cpu")
# Not of means: a position also decides who lies before whom, which has no derivative.
CHANGES = {"log_scales": 2e-2, "opacity_logits": 5e-2, "sh": 2e-2}
ERROR = 1e-3


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    return frames_around(Scene(tmp_path_factory.mktemp("ring")), 12, 96)


@pytest.fixture(scope="module")
def splats() -> Gaussians:
    """The ring's balls, each split into many small ones, of which half hardly show."""
    truth, draw = truth_of_the_ring().with_degree(1), torch.Generator().manual_seed(5)
    many = truth.chosen(torch.arange(60).repeat(40))
    many.means[:] += 0.1 * torch.randn(many.means.shape, generator=draw)
    many.log_scales[:] += 0.3 * torch.randn(many.log_scales.shape, generator=draw) - 1.2
    many.opacity_logits[:] = torch.where(torch.rand(len(many), generator=draw) < 0.5, -3.0, 2.0)
    many.sh[:] += 0.3 * torch.randn(many.sh.shape, generator=draw)
    return many


@pytest.fixture(scope="module")
def shown(splats: Gaussians, frames: list[Frame]) -> Sensitivity:
    return sensitivity_in(splats, frames, ERROR)


def pictures(splats: Gaussians, frames: list[Frame]) -> torch.Tensor:
    """All pictures, and which of their pixels are covered, [F, 4, H, W]."""
    found = []
    for frame in frames:
        drawn = render(splats, Camera.of(frame, CPU))
        found.append(torch.cat([drawn.color, (drawn.passing < 0.1)[None]]))
    return torch.stack(found)


@pytest.mark.parametrize("name", CHANGES)
def test_a_small_change_changes_pictures_as_much_as_was_foretold(
    splats: Gaussians, frames: list[Frame], shown: Sensitivity, name: str
) -> None:
    draw = torch.Generator().manual_seed(9)
    values = getattr(splats, name)
    noise = CHANGES[name] * torch.randn(values.shape, generator=draw)
    before = pictures(splats, frames)
    after = pictures(replace(splats, **{name: values + noise}), frames)
    covered = before[:, 3:].expand(-1, 3, -1, -1) > 0
    measured = float((after - before)[:, :3][covered].square().mean())
    own = splats.opacities * (1 - splats.opacities)
    by_number = {
        "log_scales": 3 * shown.log_scales,
        "opacity_logits": shown.opacities * own**2, "sh": 3 * shown.colors + 9 * shown.directions,
    }[name]  # fmt: skip
    foretold = float(by_number.sum()) * CHANGES[name] ** 2
    assert measured == pytest.approx(foretold, rel=0.3)


def test_what_matters_has_finer_steps_than_what_does_not(
    splats: Gaussians, shown: Sensitivity
) -> None:
    shown = replace(shown, error=1e-4)
    steps = steps_for(splats, shown)
    assert sorted(steps.order.tolist()) == list(range(len(splats)))
    faint = (splats.opacity_logits < 0).numpy()
    for name in ("means", "log_scales", "colors"):
        own = getattr(steps, name)
        assert own[faint].mean() > 1.5 * own[~faint].mean(), name
        assert len(np.unique(own)) == 3
    doubled = steps_for(replace(splats, means=2 * splats.means, log_scales=splats.log_scales
                                + np.log(2)), shown.scaled(2.0))  # fmt: skip
    assert np.allclose(doubled.means, 2 * steps.means, rtol=1e-4)
    assert np.allclose(doubled.colors, steps.colors)


def test_a_file_that_heeds_pictures_is_smaller_and_shows_them_as_well(
    splats: Gaussians, frames: list[Frame], shown: Sensitivity, tmp_path: Path
) -> None:
    even, heeding = tmp_path / "even.sog", tmp_path / "heeding.sog"
    write_sog(even, splats)
    write_sog(heeding, splats, shown=replace(shown, error=4e-3))
    whole = pictures(splats, frames)[:, :3]
    lost = {path: float((pictures(read_sog(path), frames)[:, :3] - whole).square().mean())
            for path in (even, heeding)}  # fmt: skip
    assert heeding.stat().st_size < 0.95 * even.stat().st_size
    assert lost[heeding] < 1.02 * lost[even]


def test_another_program_reads_the_same_of_a_file_that_heeds_pictures(
    splats: Gaussians, shown: Sensitivity, tmp_path: Path
) -> None:
    gaussforge = pytest.importorskip("gaussforge", reason="pip install -e 'python[dev]'")
    path = tmp_path / "a.sog"
    write_sog(path, splats, shown=shown)
    converted = gaussforge.GaussForge().convert(path.read_bytes(), "sog", "ply")
    (tmp_path / "theirs.ply").write_bytes(converted["data"])
    theirs, ours = read_ply(tmp_path / "theirs.ply"), read_sog(path)
    assert len(theirs) == len(ours) == len(splats)
    for name in ("means", "log_scales", "sh"):
        assert float((getattr(theirs, name) - getattr(ours, name)).abs().max()) < 2e-3, name
    assert float((theirs.opacities - ours.opacities).abs().max()) < 2e-3
    assert float((theirs.rotations * ours.rotations).sum(1).abs().min()) > 1 - 1e-4


def test_a_limit_takes_along_what_is_known_of_those_that_stay(
    splats: Gaussians, shown: Sensitivity, tmp_path: Path
) -> None:
    form = formats(np.array([0.0, -1.0, 0.0]), "a", 0)["sog"]
    found = export(
        tmp_path / "a.sog", splats, form, lambda part: float(len(splats) - len(part)),
        limit_bytes=20_000, shown=shown, scale=2.0,
    )  # fmt: skip
    assert found.size_bytes <= 20_000 and found.splats < len(splats)


def test_splats_that_no_picture_shows_are_written_too(splats: Gaussians, tmp_path: Path) -> None:
    nothing = torch.zeros(len(splats))
    shown = Sensitivity(nothing, nothing, nothing, nothing, nothing, nothing, ERROR)
    write_sog(tmp_path / "a.sog", splats, shown=shown)
    found = read_sog(tmp_path / "a.sog")
    assert len(found) == len(splats) and found.is_finite()
    one = splats.chosen(torch.tensor([0]))
    write_sog(tmp_path / "b.sog", one, shown=shown.chosen(torch.tensor([0])))
    assert len(read_sog(tmp_path / "b.sog")) == 1
    assert len(np.unique(even_steps(splats).means)) == 1
