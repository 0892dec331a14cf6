"""Training of splats: losses, optimiser, strategies, and runs that stop and go on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from maquette.errors import BadInput, ConfigError
from maquette.recon.splats import few_views
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.capacity import check_cap, largest_cap
from maquette.recon.splats.corrections import Corrections
from maquette.recon.splats.gaussians import Gaussians, logit
from maquette.recon.splats.kernels.checks import camera_before, random_gaussians
from maquette.recon.splats.losses import photo_loss, ssim, ssim_reference
from maquette.recon.splats.mcmc import MarkovChain, jitter, jitter_reference, share_out
from maquette.recon.splats.optimiser import SparseAdam, adam_reference
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.relocation import shared_out
from maquette.recon.splats.schedule import Schedule
from maquette.recon.splats.sparse_depth import SparseDepth
from maquette.recon.splats.trainer import SplatTrainer
from maquette.recon.splats.training import train
from maquette.recon.training.options import RunOptions
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Transforms
from maquette.scene.transforms import write as write_transforms
from splat_ring import frames_around, truth_of_the_ring

CPU = torch.device("cpu")
REGION = Region.around([0, 0, 0], 1.0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(7, 5), (40, 33)])
def test_similarity_and_its_gradient_are_the_twins(size: tuple[int, int], masked: bool) -> None:
    draw = torch.Generator().manual_seed(1)
    photo = torch.rand(3, *size, generator=draw)
    seen = (photo + 0.1 * torch.randn(photo.shape, generator=draw)).requires_grad_()
    mask = torch.rand(*size, generator=draw) > 0.3 if masked else None
    fast, slow = ssim(seen, photo, mask), ssim_reference(seen, photo, mask)
    assert fast.item() == pytest.approx(slow.item(), abs=1e-5)
    found, right = (torch.autograd.grad(value, seen)[0] for value in (fast, slow))
    assert (found - right).abs().max() < 1e-4 * right.abs().max()


def test_what_a_mask_excludes_has_no_part_in_the_loss_nor_its_gradient() -> None:
    draw = torch.Generator().manual_seed(2)
    photo = torch.rand(3, 30, 30, generator=draw)
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[:, :15] = True
    seen = photo.clone()
    seen[:, :, 15:] = 0.3
    seen.requires_grad_()
    loss = photo_loss(seen, photo, mask)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.autograd.grad(loss, seen)[0][:, :, 15:].abs().max() == 0


def test_a_step_changes_visible_rows_as_adam_does_and_no_others() -> None:
    splats = random_gaussians(37, 1, CPU)
    optimiser, draw = SparseAdam(splats), torch.Generator().manual_seed(4)
    schedule = Schedule(SplatOptions(), 1.0)
    rates = replace(schedule.rates(0), later_sh=schedule.rates(0).sh)
    expected = dict(splats.detached().tensors())
    moments = {n: (torch.zeros_like(t), torch.zeros_like(t)) for n, t in expected.items()}
    for steps in (1, 2, 3):
        touched = (torch.rand(37, generator=draw) > 0.4).int()
        given = {n: torch.randn(t.shape, generator=draw) for n, t in splats.tensors()}
        optimiser.step(splats, given, touched, rates)
        for name, value in expected.items():
            rate = getattr(rates, name)
            expected[name] = adam_reference(
                value, given[name], *moments[name], touched > 0, rate, steps
            )
    for name, tensor in splats.tensors():
        assert (tensor - expected[name]).abs().max() < 1e-5, name


def test_coefficients_of_later_harmonics_are_slower() -> None:
    splats = random_gaussians(20, 1, CPU)
    before = splats.detached()
    gradients = {name: torch.ones_like(tensor) for name, tensor in splats.tensors()}
    rates = Schedule(SplatOptions(), 1.0).rates(0)
    SparseAdam(splats).step(splats, gradients, torch.ones(20, dtype=torch.int32), rates)
    moved = (before.sh - splats.sh).mean(dim=(0, 2))
    assert moved[0] == pytest.approx(2.5e-3, rel=1e-3)
    assert moved[1:] == pytest.approx(1.25e-4, rel=1e-2)


def test_copies_of_a_gaussian_hide_together_what_it_hid() -> None:
    before = torch.tensor([0.1, 0.5, 0.9, 0.5])
    copies = torch.tensor([2, 3, 5, 1])
    after, factor = shared_out(before, copies)
    assert 1 - (1 - after) ** copies == pytest.approx(before)
    assert ((factor[:3] > 0.3) & (factor[:3] < 1)).all() and float(factor[3]) == pytest.approx(1)


def test_copies_along_a_line_of_sight_add_up_to_as_much_light() -> None:
    """What relocation keeps is the integral of the opacity over a section."""
    opacity, copies = 0.8, 4
    after, factor = shared_out(torch.tensor([opacity]), torch.tensor([copies]))
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    one = opacity * torch.exp(-0.5 * x**2)
    part = after.double() * torch.exp(-0.5 * (x / factor.double()) ** 2)
    many = 1 - (1 - part) ** copies
    assert float(many.sum() / one.sum()) == pytest.approx(1.0, abs=1e-3)


def test_noise_moves_transparent_gaussians_as_the_twin_says() -> None:
    splats = random_gaussians(50, 0, CPU)
    splats.opacity_logits[:] = torch.linspace(-9.0, 0.0, 50)
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    before, right = splats.means.clone(), jitter_reference(splats, noise, 20.0)
    jitter(splats, noise, 20.0)
    assert (splats.means - right).abs().max() < 1e-5
    away = (splats.means - before).norm(dim=1)
    assert away[:10].mean() > 1e-3 > away[-1] * 1e6


def test_the_chain_grows_to_its_cap_and_gives_the_dead_a_place() -> None:
    options = SplatOptions(iterations=100, cap=24)
    splats, draw = random_gaussians(20, 0, CPU), torch.Generator().manual_seed(1)
    splats.opacity_logits[:4] = logit(0.001)
    chain = MarkovChain(Schedule(options, 1.0), 20, draw)
    optimiser = SparseAdam(splats)
    places = splats.means[4:].clone()
    moved = chain._move_dead(splats, optimiser)
    assert all((places == mean).all(1).any() for mean in moved.means[:4])
    assert (moved.opacities >= 0.005).all()
    for _ in range(5):
        moved = chain._grow(moved, optimiser)
        chain.score = torch.zeros(len(moved))
    assert len(moved) == 24 == len(optimiser.moments["sh"][0])


def test_shared_out_gaussians_forget_their_moments() -> None:
    splats = random_gaussians(6, 0, CPU)
    optimiser = SparseAdam(splats)
    for mean, square in optimiser.moments.values():
        mean += 1.0
        square += 1.0
    share_out(splats, optimiser, torch.tensor([2, 2, 5]))
    kept = optimiser.moments["means"][0].sum(1)
    assert kept.tolist() == [3, 3, 0, 3, 3, 0]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, list[Frame]]:
    scene = Scene(tmp_path_factory.mktemp("ring"))
    return scene, frames_around(scene, 14, 72)


def trainer(ring: tuple[Scene, list[Frame]], **options: Any) -> SplatTrainer:
    given = {"iterations": 60, "cap": 400, "degree": 1, "background": "black"} | options
    scene, frames = ring
    return SplatTrainer(scene, "group", frames, REGION, SplatOptions(**given), CPU)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"strategy": "classic", "background": "shell"},
    {"background": "sky", "exposure": True, "refine_poses": True},
    {"background": "ground"},
]


@pytest.mark.parametrize("options", VARIANTS, ids=["mcmc", "classic", "corrections", "ground"])
def test_a_run_that_stops_and_goes_on_is_the_run_that_did_not_stop(
    ring: tuple[Scene, list[Frame]], options: dict[str, Any], tmp_path: Path
) -> None:
    whole = trainer(ring, **options)
    for _ in range(13):
        whole.step()
    torch.save(whole.state(), tmp_path / "state.pt")
    for _ in range(17):
        whole.step()
    other = trainer(ring, **options)
    other.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert other.iteration == 13
    for _ in range(17):
        other.step()
    for name, tensor in whole.splats.tensors():
        assert torch.equal(tensor, getattr(other.splats, name)), name
    assert whole.held_out() == other.held_out()


def test_random_beginnings_come_to_look_like_the_photographs(
    ring: tuple[Scene, list[Frame]],
) -> None:
    """A gate for regressions: the figure of this seed lies well above it."""
    run = trainer(ring, iterations=120, cap=600)
    before = run.held_out()
    while run.iteration < run.total:
        run.step()
    after = run.held_out()
    assert run.is_finite() and len(run.splats) == 600
    assert after["psnr"] > max(21.5, before["psnr"] + 5) and after["ssim"] > before["ssim"]


def test_training_goes_on_beyond_its_last_iteration(ring: tuple[Scene, list[Frame]]) -> None:
    run = trainer(ring, iterations=4)
    for _ in range(6):
        metrics = run.step()
    assert metrics.iteration == 6 and run.splats.degree == 1
    assert len(metrics.values) == len(run.metric_names)


def test_a_preview_shows_a_held_out_view_and_leaves_a_cloud(
    ring: tuple[Scene, list[Frame]], tmp_path: Path
) -> None:
    image, cloud = trainer(ring).preview(tmp_path)
    with Image.open(image) as opened:
        assert opened.size == (144, 72)
    assert cloud.stat().st_size > 1000


@pytest.mark.parametrize("strategy", ["mcmc", "classic"])
def test_memory_is_saved_by_fewer_gaussians_and_then_by_smaller_pictures(
    ring: tuple[Scene, list[Frame]], strategy: str
) -> None:
    run = trainer(ring, cap=1200, strategy=strategy)
    said = run.shrink()
    assert said == "at most 600 Gaussians, not 1,200" and len(run.splats) == 600
    run.step()
    assert run.shrink() is None  # pictures of 36 pixels would show nothing


def test_options_that_do_not_exist_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no strategy `mcm`"):
        SplatOptions(strategy="mcm")
    with pytest.raises(ConfigError, match="degree 4"):
        SplatOptions(degree=4)


def test_one_photograph_is_too_few(ring: tuple[Scene, list[Frame]]) -> None:
    scene, frames = ring
    with pytest.raises(BadInput, match="1 photograph with a pose"):
        SplatTrainer(scene, "group", frames[:1], REGION, SplatOptions(), CPU)


def test_a_cap_that_memory_does_not_allow_is_refused_with_the_largest_that_fits() -> None:
    with pytest.raises(ConfigError, match="do not fit") as caught:
        check_cap(10**12, 3, CPU)
    most = int(str(caught.value.hint).split("CAP=")[1])
    check_cap(most, 3, CPU)
    assert largest_cap(0, 2**30) > largest_cap(3, 2**30) > 100_000


def test_masks_that_are_all_black_are_refused(ring: tuple[Scene, list[Frame]]) -> None:
    scene, frames = ring
    scene.masks.mkdir()
    try:
        for frame in frames:
            black = Image.new("L", (72, 72))
            black.save(scene.masks / Path(frame.file_path).name)
        with pytest.raises(BadInput, match="all 12 masks are black"):
            trainer(ring)
        white = Image.new("L", (72, 72), 255)
        white.save(scene.masks / Path(frames[0].file_path).name)
        run = trainer(ring)
        for _ in range(12):  # a photograph of which nothing counts teaches nothing
            run.step()
        assert run.is_finite()
    finally:
        shutil.rmtree(scene.masks)


def test_a_run_of_the_chassis_goes_on_where_it_ended(
    ring: tuple[Scene, list[Frame]], tmp_path: Path
) -> None:
    scene, frames = Scene(ring[0].root, "made-up"), ring[1]
    write_transforms(scene.transforms, Transforms(tuple(frames), REGION))
    options = SplatOptions(iterations=6, cap=300, background="black")
    ways = RunOptions(gpus=0)
    progress = Progress(tmp_path / "events.jsonl")
    first = train(scene, "group", options, ways, progress)
    assert first["iterations"] == 6 and first["gaussians"] == 300
    assert {"held_out_psnr", "held_out_ssim"} <= first.keys()
    again = train(scene, "group", replace(options, iterations=9), ways, progress)
    assert again["iterations"] == 9
    with pytest.raises(ConfigError, match="begun with strategy = mcmc, not classic"):
        train(scene, "group", replace(options, strategy="classic"), ways, progress)


def test_a_wrong_pose_is_found_again(ring: tuple[Scene, list[Frame]]) -> None:
    """Gaussians and all other cameras stand still: what is left is one camera's pose."""
    truth, right = truth_of_the_ring(), Camera.of(ring[1][0], CPU)
    photo = render(truth, right).color.detach()
    corrections = Corrections(SplatOptions(refine_poses=True), 1, CPU)
    moved = replace(right, translation=right.translation + torch.tensor([0.06, -0.04, 0.0]))
    rates, found = Schedule(SplatOptions(), 1.0).rates(0), []
    for step in range(60):
        seen = render(truth, corrections.camera(moved, 0)).color
        wrong = (seen - photo).abs().mean()
        found.append(wrong.item())
        torch.autograd.backward(wrong)
        corrections.step(replace(rates, poses=4e-3 * 0.95**step))
    assert found[-1] < 0.2 * found[0]


def test_poses_stand_still_in_the_last_fifth() -> None:
    schedule = Schedule(SplatOptions(iterations=100), 1.0)
    assert schedule.rates(79).poses > 0 == schedule.rates(80).poses


def test_an_exposure_is_learned_and_is_none_of_the_scene() -> None:
    corrections = Corrections(SplatOptions(exposure=True), 2, CPU)
    rates = replace(Schedule(SplatOptions(), 1.0).rates(0), exposure=1e-2)
    color, passing = torch.full((3, 4, 4), 0.5), torch.zeros(4, 4)
    for step in range(200):
        view = step % 2
        seen = corrections.color(color, passing, view)
        torch.autograd.backward((seen - (0.4, 0.6)[view]).abs().mean())
        corrections.step(rates)
    assert corrections.color(color, passing, 0).mean().item() == pytest.approx(0.4, abs=0.02)
    assert corrections.color(color, passing, 1).mean().item() == pytest.approx(0.6, abs=0.02)
    assert torch.equal(corrections.color(color, passing, None), color)


def test_few_photographs_leave_splats_out_by_turns_and_many_do_not() -> None:
    splats, draw = random_gaussians(4000, 0, CPU), torch.Generator().manual_seed(1)
    splats.opacity_logits[:] = logit(0.4)
    state = draw.get_state()
    dropped = few_views.dropped_share(40, 1.0)
    assert few_views.kept_rows(4000, dropped, draw) is None
    assert few_views.thinned_out(splats, None, dropped) is splats
    assert torch.equal(draw.get_state(), state), "a run with many photographs is as it was"
    dropped = few_views.dropped_share(13, 0.5)
    kept = few_views.kept_rows(4000, dropped, draw)
    seen = few_views.thinned_out(splats, kept, dropped).opacities
    invisible = seen < 1e-5
    assert dropped == pytest.approx(0.15) and invisible.float().mean() == pytest.approx(
        0.15, abs=0.03
    )
    assert torch.allclose(seen[~invisible], torch.tensor(0.4 / 0.85))
    assert 0 < few_views.need(28) < few_views.need(13) == 1.0


def test_above_the_ground_nothing_lies_far_away(ring: tuple[Scene, list[Frame]]) -> None:
    far = {
        background: trainer(ring, background=background).splats.means.norm(dim=1).max().item()
        for background in ("ground", "black", "shell")
    }
    assert far["ground"] == far["black"] < 0.1 * far["shell"]


def test_a_hole_in_the_ground_has_another_colour_at_each_step(
    ring: tuple[Scene, list[Frame]],
) -> None:
    run = trainer(ring, background="ground")
    picture, passing = torch.zeros(3, 2, 2), torch.tensor([[0.0, 0.5], [1.0, 1.0]])
    shown = []
    for _ in range(4):
        shown.append(run.corrections.color(picture, passing, 0))
        run.step()
    assert all(torch.equal(color[:, 0, 0], torch.zeros(3)) for color in shown)
    differ = [(one - other)[:, 1].abs().max() for one, other in pairwise(shown)]
    assert min(differ) > 0.2
    assert torch.equal(run.corrections.color(picture, passing, None), picture)


def test_depths_of_sparse_points_pull_a_wall_to_its_place() -> None:
    camera = camera_before(32, 32, CPU)
    splats = random_gaussians(1, 0, CPU)
    splats.means[:] = torch.tensor([0.0, 0.0, 4.0])
    splats.log_scales[:], splats.opacity_logits[:] = 1.0, logit(0.95)
    points = torch.tensor([[0.0, 0.0, 3.0], [0.1, 0.2, 3.0], [0.0, 0.1, -3.0]])
    depth = SparseDepth([points])
    inputs = {name: tensor.requires_grad_() for name, tensor in splats.tensors()}
    loss = depth.loss(0, camera, render(Gaussians(**inputs), camera), 1.0)
    assert loss.item() > 0
    torch.autograd.backward(loss)
    slope = inputs["means"].grad
    assert slope is not None and slope[0, 2] > 0  # nearer is better


def test_normals_count_from_a_quarter_of_the_run_on(ring: tuple[Scene, list[Frame]]) -> None:
    schedule = Schedule(SplatOptions(iterations=100, normal_weight=0.05), 1.0)
    assert [schedule.normal_weight(photos) for photos in (24, 25)] == [0.0, 0.05]
    runs = [trainer(ring, iterations=12, normal_weight=weight) for weight in (0.0, 0.05)]
    for number in range(6):
        for run in runs:
            run.step()
        same = torch.equal(runs[0].splats.quaternions, runs[1].splats.quaternions)
        assert same == (number < 3)
    assert runs[1].is_finite()
