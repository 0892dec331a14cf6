"""Where do the depth maps of a network stand beside PatchMatch's?

    .venv/bin/python benchmarks/mvsnet_place.py [--json] [--width 320] [--checkpoint FILE]
    .venv/bin/python benchmarks/mvsnet_place.py --scene scenes/owl      # the sample's photos too
    .venv/bin/python benchmarks/dense.py --scene scenes/owl DEPTH=mvsnet    # and its fused points

A rendered scene has four source views, 12 and 45 degrees apart, and exact depths; all pixels count.
Generated scenes are of the kind that the weights of this package were trained on, but of another
seed. Of the sample, pixels that show the object count, whose true surface is known; its cameras
are those that prepare found. Both see the same pictures, sizes and spans; neither has other views'
depths.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dense_scene import frames_around, render
from maquette.recon.evaluate.cameras import compare_cameras
from maquette.recon.evaluate.truth import GroundTruth, read_truth, source_keys
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mvs.kernels.checks import make_kernels
from maquette.recon.mvs.neighbours import choose_sources, depth_spans
from maquette.recon.mvs.patch_match import estimate
from maquette.recon.mvs.stacks import GreyView
from maquette.recon.mvsnet import weights
from maquette.recon.mvsnet.generated.pairs import choose_pairs
from maquette.recon.mvsnet.generated.scenes import generate
from maquette.recon.mvsnet.inference import DepthNetwork, PhotoView
from maquette.recon.views.views import Views
from maquette.scene import colmap_model, transforms
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame
from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
_LUMA = np.array([0.299, 0.587, 0.114])
_GENERATED = (10_001, 10_002, 10_003, 10_004)  # seeds that no course of training reaches
_SHARES = (0.005, 0.01, 0.05)


@dataclass(frozen=True)
class Task:
    """A depth map to make: views with the reference first, and its true depths (0: unknown)."""

    views: list[PhotoView]
    span: tuple[float, float]
    truth: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--checkpoint", type=Path, default=weights.SHIPPED)
    parser.add_argument("--scene", type=Path, help="the sample, prepared")
    parser.add_argument("--views", type=int, default=3, help="of the sample")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    list(make_kernels())
    cases = {"generated": generated(arguments.width)}
    cases |= {f"rendered, {a:g} degrees": [rendered(a, arguments.width)] for a in (12.0, 45.0)}
    if arguments.scene:
        cases["owl"] = sample(arguments.scene.resolve(), arguments.width, arguments.views)
    rows = []
    for case, tasks in cases.items():
        rows += measure(case, "PatchMatch", tasks, by_patch_match)
        rows += measure(case, "network", tasks, lambda task: by_network(task, arguments.checkpoint))
    print_rows(rows, arguments.json)


def measure(
    case: str, tool: str, tasks: list[Task], run: Callable[[Task], np.ndarray]
) -> list[Row]:
    start = time.process_time()
    maps = [run(task) for task in tasks]
    spent_s = (time.process_time() - start) / len(tasks)
    known = [task.truth > 0 for task in tasks]
    wrong = np.concatenate([
        np.abs(depth[k] - task.truth[k]) / task.truth[k]
        for task, depth, k in zip(tasks, maps, known, strict=True)
    ])  # fmt: skip
    shares = [
        Row(case, tool, f"pixels < {100 * limit:g} %", 100 * float((wrong < limit).mean()), "%")
        for limit in _SHARES
    ]
    return [Row(case, tool, "cpu a view", spent_s, "s"), *shares]


def by_patch_match(task: Task) -> np.ndarray:
    views = [
        GreyView(view.frame, np.asarray(np.rint(view.image @ _LUMA), np.uint8))
        for view in task.views
    ]
    return estimate(views[0], views[1:], task.span).depth


def by_network(task: Task, file: Path) -> np.ndarray:
    network = DepthNetwork(weights.load(file), task.views.__getitem__, torch.device("cpu"))
    return network.depth_map(0, range(1, len(task.views)), task.span).depth


def rendered(angle: float, width: int) -> Task:
    seen = render(frames_around(angle, width, width * 3 // 4))
    truth = seen[0].depth
    span = 0.75 * float(truth.min()), 1.25 * float(truth.max())
    return Task([PhotoView(view.frame, view.image) for view in seen], span, truth)


def generated(width: int) -> list[Task]:
    tasks = []
    for seed in _GENERATED:
        scene = generate(seed, (width, width * 4 // 5))
        images = (scene.images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
        chosen = [0, *[number for number, _ in choose_pairs(scene)[0][:4]]]
        views = [PhotoView(scene.frames[number], images[number]) for number in chosen]
        low, high = map(float, scene.ranges[0])
        tasks.append(Task(views, (low, high), scene.depths[0].numpy()))
    return tasks


def sample(folder: Path, width: int, count: int) -> list[Task]:
    scene = Scene(folder, "photogrammetry")
    truth = read_truth(ROOT / "samples" / folder.name)
    if truth is None or truth.mesh is None:
        raise SystemExit(f"no true surface in samples/{folder.name}: --scene is a sample's")
    cameras = sorted(transforms.read(scene.transforms).frames, key=lambda f: f.file_path)
    tracks, views = colmap_model.read_tracks(scene.sparse), Views(scene, cameras, width)
    centers = np.stack([frame.world_from_cam[:3, 3] for frame in cameras])
    pairs, spans = choose_sources(tracks, centers, 4), depth_spans(tracks, views.frames)
    tasks = []
    for view in np.linspace(0, len(cameras) - 1, count + 2).astype(int)[1:-1]:
        chosen = [int(view), *[number for number, _ in pairs[view]]]
        span = spans[view]
        assert span is not None
        photos = [PhotoView(views.frames[number], views.image(number)) for number in chosen]
        tasks.append(Task(photos, span, true_depth(scene, cameras, truth, photos[0].frame)))
    return tasks


def true_depth(scene: Scene, cameras: list[Frame], truth: GroundTruth, frame: Frame) -> np.ndarray:
    """Depths of the object's true surface in a photo, the scene's unit; 0 where it is not seen."""
    keys = source_keys(scene)
    pairs = [
        (one.world_from_cam, truth.poses[keys[Path(one.file_path).name]])
        for one in cameras
        if keys.get(Path(one.file_path).name) in truth.poses
    ]
    similarity = compare_cameras(*(np.stack(side) for side in zip(*pairs, strict=True)))
    moved, lens = similarity.truth_from_world, frame.intrinsics
    y, x = np.mgrid[: lens.height, : lens.width] + 0.5
    rays = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    turned = rays.reshape(-1, 3) @ (moved.rotation @ frame.world_from_cam[:3, :3]).T
    origin = moved.apply(frame.world_from_cam[:3, 3])
    assert truth.mesh is not None
    hits = RayScene(truth.mesh).first_hits(np.tile(origin, (len(turned), 1)), turned)
    depth = np.zeros(len(turned))
    depth[hits.ray] = hits.depth / moved.scale
    return depth.reshape(lens.height, lens.width)


if __name__ == "__main__":
    main()
