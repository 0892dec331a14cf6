"""How good are depth maps and their points, and what do they cost?

    .venv/bin/python benchmarks/dense.py [--json] [--width 480]         # one map, exact truth
    .venv/bin/python benchmarks/dense.py --peer FOLDER/bin/python       # and the peer of that venv
    .venv/bin/python benchmarks/dense.py --scene scenes/owl PRESET=…    # the sample's process
    .venv/bin/python benchmarks/dense.py --scene scenes/owl --mesh REFINE=1    # and its extract

One map has four source views, 12 and 45 degrees apart. The scene is rendered, so depths are exact;
all pixels count, those too that no source sees. The peer is pyarchinit-photogrammetry-core (GPL),
which is tried in a venv of its own and never imported here. The sample is prepared before, and is
processed in a copy; its points, and with --mesh its mesh and texture, are compared with the truth
in samples/owl.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dense_scene import Seen, frames_around, render
from maquette.pipelines.photogrammetry.options import ExtractOptions, ProcessOptions
from maquette.recon.evaluate import evaluation
from maquette.recon.mvs.kernels.checks import make_kernels
from maquette.recon.mvs.patch_match import estimate, refine
from maquette.recon.mvs.stacks import GreyView
from maquette.recon.texture.renderer import open_renderer
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
    "psnr_db": ("PSNR", 1, "dB"),
}
STEPS = {"process": ProcessOptions, "extract": ExtractOptions}
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
# Runs a step: its processor time, children included, and its own most memory come last.
_STEP = """
import os, sys
from maquette.recon.step import main
code = main(sys.argv[1:])
lines = open("/proc/self/status").read().split("\\n")
print(sum(os.times()[:4]), next(line.split()[1] for line in lines if line.startswith("VmHWM")))
sys.exit(code)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--peer", type=Path, help="Python of the peer's own venv")
    parser.add_argument("--scene", type=Path, help="the sample, prepared")
    parser.add_argument("--mesh", action="store_true", help="of --scene: extract too")
    parser.add_argument("settings", nargs="*", help="of both steps, e.g. PRESET=preview")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.scene:
        rows = sample(arguments.scene.resolve(), arguments.settings, arguments.mesh)
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


def sample(folder: Path, settings: list[str], with_mesh: bool) -> list[Row]:
    """The steps of a prepared scene, and what they leave beside the truth."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / folder.name
        shutil.copytree(folder, root, ignore=shutil.ignore_patterns("dense", "results", "runs"))
        shutil.rmtree(root / "stages" / "photogrammetry", ignore_errors=True)
        scene = Scene(root, "photogrammetry")
        for step, known in list(STEPS.items())[: 2 if with_mesh else 1]:
            rows += run_step(scene, step, chosen(settings, known), " ".join([step, *settings]))
    return rows


def chosen(settings: list[str], known: Any) -> dict[str, Any]:
    """Those of the settings that a step has, as its options.

    Raises:
        SystemExit: no step has one of them.
    """
    pairs = [word.partition("=")[::2] for word in settings]
    names = {field.name for step in STEPS.values() for field in fields(step)}
    unknown = sorted({name for name, _ in pairs if name.lower() not in names})
    if unknown:
        raise SystemExit(f"no option of process or extract: {', '.join(unknown)}")
    found = {}
    for name, value in ((name.lower(), value) for name, value in pairs):
        if name in {field.name for field in fields(known)}:
            kind = type(getattr(known(), name))
            found[name] = bool(int(value)) if kind is bool else kind(value)
    return found


def run_step(scene: Scene, step: str, options: dict[str, Any], case: str) -> list[Row]:
    """Run a step in a process of its own; what it took, and its result beside the truth."""
    told = scene.root.parent / "options.json"
    told.write_text(json.dumps(options))
    argv = [sys.executable, "-c", _STEP, scene.pipeline, step, "--scene", str(scene.root)]
    run = subprocess.run([*argv, "--options", str(told)], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit(f"{step} failed: {run.returncode}")
    spent_s, most_kib = map(float, run.stdout.split()[-2:])
    truth = ROOT / "samples" / scene.name
    renderer = open_renderer if step == "extract" else None
    quiet = Progress(log=io.StringIO())
    found = evaluation.run(scene, "experiments", quiet, truth, renderer)
    return [
        Row(case, "maquette", "cpu", spent_s, "s"),
        Row(case, "maquette", "memory", most_kib / 2**20, "GiB"),
        *(
            Row(case, "maquette", name, scale * found[key], unit)
            for key, (name, scale, unit) in _MEASURES.items()
            if found[key] is not None
        ),
    ]


def grey(view: Seen) -> np.ndarray:
    return np.asarray(np.rint(view.image @ _LUMA), np.uint8)


if __name__ == "__main__":
    main()
