"""Features by networks: their parts against plain ones, their place in a database, the rung."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from maquette.recon.sfm import colmap, matching, refusal, registration
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.learned import aliked, lightglue, weights
from maquette.recon.sfm.learned import database as learned_database
from maquette.recon.sfm.learned import matching as learned
from maquette.recon.sfm.workspace import PoseOptions, Workspace
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

CPU = torch.device("cpu")
installed = pytest.mark.skipif(
    not weights.are_installed(), reason=f"no weights of the networks: {weights.INSTALL}"
)


def silent() -> Progress:
    return Progress(None, io.StringIO())


def deformable(offset: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """A convolution with all taps moved by one offset (y, x), and the plain one, [1, 4, 16, 20]."""
    torch.manual_seed(0)
    maps, kernel = torch.randn(1, 3, 16, 20), torch.randn(4, 3, 3, 3)
    given = {
        "c.offset_conv.weight": torch.zeros(18, 3, 3, 3),
        "c.offset_conv.bias": torch.tensor(offset).repeat(9),
        "c.regular_conv.weight": kernel,
    }
    return aliked._deformable_conv(given, "c", maps), F.conv2d(maps, kernel, padding=1)


def test_a_deformable_convolution_that_moves_nothing_is_a_plain_one() -> None:
    bent, plain = deformable((0.0, 0.0))
    assert torch.allclose(bent, plain, atol=1e-4)


def test_a_deformable_convolution_looks_where_its_offsets_tell() -> None:
    bent, plain = deformable((1.0, -2.0))
    assert torch.allclose(bent[..., 2:-3, 4:-3], plain[..., 3:-2, 2:-5], atol=1e-4)


def test_peaks_are_the_highest_local_maxima_where_they_may_lie() -> None:
    scores = torch.zeros(20, 30)
    for (x, y), score in {
        (5, 6): 0.5,
        (6, 6): 0.4,
        (20, 10): 0.9,
        (29, 10): 1.0,
        (12, 15): 0.7,
    }.items():
        scores[y, x] = score
    assert aliked._peaks(scores, 2, None).tolist() == [[20, 10], [12, 15]]
    usable = torch.ones(20, 30, dtype=torch.bool)
    usable[:, 18:] = False
    assert aliked._peaks(scores, 9, usable).tolist() == [[12, 15], [5, 6]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Four pictures with features, descriptors and matches, of a made scene."""
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_frames_per_rig, options.num_points3D = 1, 4, 60
    pycolmap.set_random_seed(0)
    path = tmp_path / "made.db"
    colmap.create(path)
    with colmap.opened(path) as handle:
        pycolmap.synthesize_dataset(options, handle)
        for image in handle.read_all_images():
            count = handle.num_keypoints_for_image(image.image_id)
            if not handle.exists_descriptors(image.image_id):
                data = np.zeros((count, 128), np.uint8)
                kind = pycolmap.FeatureExtractorType.SIFT
                handle.write_descriptors(
                    image.image_id, pycolmap.FeatureDescriptors(type=kind, data=data)
                )
    return path


def test_learned_features_stand_behind_the_others_and_go_with_the_matches(database: Path) -> None:
    names = colmap.image_names(database)
    ids = colmap.image_ids(database)
    with colmap.opened(database) as handle:
        before = {name: np.array(handle.read_keypoints(ids[name])) for name in names}
        pair = np.array(handle.read_matches(ids[names[0]], ids[names[1]]))
    places = [before[name][:, :2] - 0.5 for name in names]
    learned_database.add(database, names, places, {(0, 1): pair.astype(np.uint32)}, seed=0)
    assert learned_database.is_in(database)
    with colmap.opened(database) as handle:
        for name in names:
            after, count = np.array(handle.read_keypoints(ids[name])), len(before[name])
            assert (after[:count] == before[name]).all()
            assert after[count:, :2] == pytest.approx(before[name][:, :2], abs=1e-3)
        both = np.array(handle.read_matches(ids[names[0]], ids[names[1]]))
        assert len(both) == 2 * len(pair)
        counts = [len(before[name]) for name in names[:2]]
        assert (both[len(pair) :] - counts == pair).all()
    assert matching.inliers(database, names)[0, 1] > 1.8 * len(pair)
    learned_database.verify_again(database, seed=1)
    assert matching.inliers(database, names)[0, 1] > 1.8 * len(pair)
    matching.clear(database)
    assert not learned_database.is_in(database)
    with colmap.opened(database) as handle:
        assert (np.array(handle.read_keypoints(ids[names[0]])) == before[names[0]]).all()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Scene(tmp_path / "lego"), tmp_path, PoseOptions(is_video=False), silent())


def test_without_the_weights_the_rung_is_left_out_and_the_advice_tells_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setattr(weights, "_find", lambda name: None)
    begun: list[Any] = []
    method = registration._with_learned_features
    assert method(workspace, "learned-features", lambda: begun.append(1)) is None
    assert not begun
    assert weights.INSTALL in refusal.advice("lego", 20, is_video=False)
    monkeypatch.setattr(weights, "are_installed", lambda: True)
    assert weights.INSTALL not in refusal.advice("lego", 20, is_video=False)


def picture(path: Path, shift: int) -> Path:
    """Grey boxes on a plain ground, seen `shift` pixels further to the left, dark and noisy."""
    rng = np.random.default_rng(3)
    canvas = np.full((240, 480), 90.0)
    for _ in range(400):
        x, y, w, h = rng.integers((0, 0, 8, 8), (460, 225, 24, 20))
        canvas[y : y + h, x : x + w] = rng.uniform(20, 230)
    shown = 0.5 * canvas[:, shift : shift + 320] + np.random.default_rng(shift).normal(
        0, 2, (240, 320)
    )
    Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8)).convert("RGB").save(path)
    return path


@installed
def test_two_dark_pictures_match_by_how_far_they_are_shifted_and_masks_count(
    tmp_path: Path,
) -> None:
    names = [picture(tmp_path / f"{shift}.jpg", shift).name for shift in (0, 40)]
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in names:
        mask = Image.new("L", (320, 240), 255)
        mask.paste(0, (0, 0, 320, 80))
        mask.save(masks / f"{name}.png")
    found = learned.extract(tmp_path, names, masks, CPU, silent())
    assert all((one.places[:, 1] >= 79).all() for one in found)
    pair = learned.match(found, [(0, 1)], CPU, silent())[0, 1]
    apart = found[0].places[pair[:, 0]] - found[1].places[pair[:, 1]]
    right = (torch.abs(apart - torch.tensor([40.0, 0.0])) < 1.5).all(dim=1)
    assert len(pair) > 50 and right.float().mean() > 0.9


@installed
def test_matching_is_the_same_in_both_directions(tmp_path: Path) -> None:
    names = [picture(tmp_path / f"{shift}.jpg", shift).name for shift in (0, 25)]
    one, other = learned.extract(tmp_path, names, None, CPU, silent())
    network = weights.of_matcher(CPU)
    with torch.inference_mode():
        there, back = lightglue.match(network, one, other), lightglue.match(network, other, one)
    assert {tuple(pair) for pair in there.tolist()} == {tuple(pair[::-1]) for pair in back.tolist()}
