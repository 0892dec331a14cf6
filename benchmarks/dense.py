"""How good are depth maps and their points, and what do they cost?

    .venv/bin/python benchmarks/dense.py [--json] [--width 480]         # one map, exact truth
    .venv/bin/python benchmarks/dense.py --peer FOLDER/bin/python       # and the peer of that venv
    .venv/bin/python benchmarks/dense.py --scene scenes/owl PRESET=…    # the sample's process

One map has four source views, 12 and 45 degrees apart. The scene is rendered, so depths are exact;
all pixels count, those too that no source sees. The peer is pyarchinit-photogrammetry-core (GPL),
which is tried in a venv of its own and never imported here. The sample is prepared before, and is
processed in a copy; its points are compared with the truth in samples/owl.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from dense_scene import Seen, frames_around, render
from maquette.pipelines.photogrammetry.options import ProcessOptions
from maquette.recon.evaluate import evaluation
from maquette.recon.mvs.kernels.checks import make_kernels
from maquette.recon.mvs.patch_match import estimate, refine
from maquette.recon.mvs.stacks import GreyView
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
_LUMA = np.array([0.299, 0.587, 0.114])
_CASE = "4 sources, {angle:g} degrees"
_MEASURES = {
    "accuracy_relative": ("accuracy", 100, "%"),
    "completeness_relative": ("completeness", 100, "%"),
    "f_score": ("F within 1 %", 1, ""),
    "f_score_fine": ("F within 0.25 %", 1, ""),
}
# Runs in the peer's venv: images, intrinsics and source_from_reference in, depths and CPU time out.
_PEER = """
import sys, time
import numpy as np, ppg_core
given = np.load(sys.argv[1])
lens, images = tuple(given["lens"]), given["images"]
sources = [(np.ascontiguousarray(images[i + 1]), lens, given["turns"][i], given["shifts"][i])
           for i in range(len(images) - 1)]
start = time.process_time()
depth, *_ = ppg_core.patchmatch_depth(
    np.ascontiguousarray(images[0]), lens, sources, tuple(given["span"]), min_views=2)
np.savez(sys.argv[2], depth=depth, cpu_s=time.process_time() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--peer", type=Path, help="Python of the peer's own venv")
    parser.add_argument("--scene", type=Path, help="the sample, prepared")
    parser.add_argument("settings", nargs="*", help="of process, e.g. PRESET=preview")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.scene:
        rows = sample(arguments.scene.resolve(), arguments.settings)
    else:
        rows = maps(arguments.width, arguments.peer)
    print_rows(rows, arguments.json)


def maps(width: int, peer: Path | None) -> list[Row]:
    """One map at both angles."""
    start = time.process_time()
    list(make_kernels())
    rows = [Row("kernels, first use", "maquette", "cpu", time.process_time() - start, "s")]
    for angle in (12.0, 45.0):
        seen = render(frames_around(angle, width, width * 3 // 4))
        rows += measure(_CASE.format(angle=angle), seen)
        if peer:
            rows += measure_peer(_CASE.format(angle=angle), seen, peer)
    return rows


def measure(case: str, seen: list[Seen]) -> list[Row]:
    """From the pictures alone, then with the sources' true depths as the geometric pass."""
    truth = seen[0].depth
    views = [GreyView(view.frame, grey(view)) for view in seen]
    start = time.process_time()
    found = estimate(views[0], views[1:], span_of(truth))
    middle = time.process_time()
    sources = [
        GreyView(view.frame, view.image, depth=other.depth)
        for view, other in zip(views[1:], seen[1:], strict=True)
    ]
    refined = refine(found, views[0], sources, span_of(truth))
    end = time.process_time()
    return [
        *rows_of(f"{case}, pictures", "maquette", found.depth, truth, middle - start),
        *rows_of(f"{case}, + true depths", "maquette", refined.depth, truth, end - middle),
    ]


def measure_peer(case: str, seen: list[Seen], python: Path) -> list[Row]:
    """The peer's map of the same pictures; its pixel centres are whole numbers."""
    lens = seen[0].frame.intrinsics
    poses = [np.linalg.inv(v.frame.world_from_cam) @ seen[0].frame.world_from_cam for v in seen[1:]]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(
            given, images=np.stack([np.float32(grey(view) / 255.0) for view in seen]),
            lens=np.array([lens.fl_x, lens.fl_y, lens.cx - 0.5, lens.cy - 0.5]),
            turns=np.stack([pose[:3, :3] for pose in poses]),
            shifts=np.stack([pose[:3, 3] for pose in poses]), span=span_of(seen[0].depth),
        )  # fmt: skip
        subprocess.run([python, "-c", _PEER, given, made], check=True)
        result = np.load(made)
        depth, cpu_s = result["depth"], float(result["cpu_s"])
    return rows_of(f"{case}, pictures", "peer", depth, seen[0].depth, cpu_s)


def rows_of(case: str, tool: str, depth: np.ndarray, truth: np.ndarray, cpu_s: float) -> list[Row]:
    error = np.abs(depth - truth) / truth
    shares = [(limit, 100 * float((error < limit).mean())) for limit in (0.005, 0.01)]
    return [
        Row(case, tool, "cpu", cpu_s, "s"),
        *(Row(case, tool, f"pixels < {100 * limit:g} %", share, "%") for limit, share in shares),
    ]


def span_of(truth: np.ndarray) -> tuple[float, float]:
    return 0.75 * float(truth.min()), 1.25 * float(truth.max())


def sample(folder: Path, settings: list[str]) -> list[Row]:
    """The process of a prepared scene, and its points beside the truth."""
    kinds = {name: type(getattr(ProcessOptions(), name)) for name in ProcessOptions.__annotations__}
    pairs = [word.lower().partition("=")[::2] for word in settings]
    options = {name: kinds.get(name, int)(value) for name, value in pairs}
    case = " ".join(["process", *settings])
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / folder.name
        shutil.copytree(folder, root, ignore=shutil.ignore_patterns("dense", "results", "runs"))
        (Path(temporary) / "options.json").write_text(json.dumps(options))
        argv = [sys.executable, "-m", "maquette.recon.step", "photogrammetry", "process"]
        argv += ["--scene", str(root), "--options", str(Path(temporary) / "options.json")]
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"process failed: {os.waitstatus_to_exitcode(status)}")
        scene = Scene(root, "photogrammetry")
        found = evaluation.run(scene, "experiments", Progress(), ROOT / "samples" / folder.name)
    return [
        Row(case, "maquette", "cpu", usage.ru_utime + usage.ru_stime, "s"),
        Row(case, "maquette", "memory", usage.ru_maxrss / 2**20, "GiB"),
        *(
            Row(case, "maquette", name, scale * found[key], unit)
            for key, (name, scale, unit) in _MEASURES.items()
        ),
    ]


def grey(view: Seen) -> np.ndarray:
    return np.asarray(np.rint(view.image @ _LUMA), np.uint8)


if __name__ == "__main__":
    main()
