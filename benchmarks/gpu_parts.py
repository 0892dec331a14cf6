"""The parts of `benchmarks/gpu.py`: each measures one thing and hands out rows as it goes."""

from __future__ import annotations

import importlib
import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dense
import dense_scene
import splats
from maquette.pipelines.neuralangelo.options import ExtractOptions
from maquette.pipelines.registry import get_pipeline
from maquette.recon import kernel_checks
from maquette.recon.evaluate import evaluation
from maquette.recon.mvs.patch_match import estimate, refine
from maquette.recon.mvs.stacks import GreyView
from maquette.recon.stages.surface import mesh
from maquette.recon.step import run_step
from maquette.recon.surface import training
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.trainer import Trainer
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.starting import begin
from maquette.scene import stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from rows import Row

TRUTH = Path(__file__).parent.parent / "samples" / "owl"
GROUP = "experiments"
UPSTREAM = {"model.render.rand_rays": 512}  # the batch of Neuralangelo's published settings
_LONG = 20_000  # iterations of the run whose schedule is measured
_SECONDS_A_PACE = 5.0


@dataclass(frozen=True)
class Place:
    """Where a part finds its scene and leaves its files.

    Attributes:
        scene: A prepared scene, which stays as it is.
        folder: What the part writes; parts of one run share it.
    """

    scene: Path
    folder: Path


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def copies(_: Place) -> Iterator[Row]:
    """What the card's memory can do: the yardstick of every other figure."""
    for mebibytes in (64, 1024):
        source = torch.empty(mebibytes << 20, dtype=torch.uint8, device=device())
        target = torch.empty_like(source)
        times = []
        for _run in range(10):
            wait()
            start = time.perf_counter()
            target.copy_(source)
            wait()
            times.append(time.perf_counter() - start)
        rate = 2 * (mebibytes << 20) / statistics.median(times) / 1e9
        yield Row("copy", f"{mebibytes} MiB", "read and written", rate, "GB/s")


def kernels(_: Place) -> Iterator[Row]:
    """Every kernel beside its twin."""
    for case in kernel_checks.cases(device()):
        found = kernel_checks.compare(case, device())
        yield Row(found.kernel, found.size, "agrees", float(found.agrees), "")
        yield Row(found.kernel, found.size, "error", found.error, "")
        yield Row(found.kernel, found.size, "kernel", found.fast_ms, "ms")
        yield Row(found.kernel, found.size, "twin", found.slow_ms, "ms")
        yield Row(
            found.kernel, found.size, "moved", found.bytes_moved / found.fast_ms / 1e6, "GB/s"
        )


def steps(preset: str, **overrides: Any) -> Callable[[Place], Iterator[Row]]:
    """A part that times a preset's training steps, early and with all levels."""

    def measure(place: Place) -> Iterator[Row]:
        case = _named(preset, overrides)
        start = time.perf_counter()
        trainer = _trainer(place, preset, overrides)
        yield Row(case, "start", "wall", time.perf_counter() - start, "s")
        for name, iteration in (("few levels", 0), ("all levels", 14_000)):
            trainer.iteration = iteration
            yield from _paced(trainer, case, name)
        if torch.cuda.is_available():
            yield Row(
                case, "torch", "peak memory", torch.cuda.max_memory_allocated() / 2**30, "GiB"
            )
            free, total = torch.cuda.mem_get_info()
            yield Row(case, "card", "memory in use", (total - free) / 2**30, "GiB")
            yield from _profiled(trainer.step, case)

    return measure


def trained(preset: str, iterations: int, **overrides: Any) -> Callable[[Place], Iterator[Row]]:
    """A part that trains a copy of the scene to its end, extracts and evaluates it."""

    def measure(place: Place) -> Iterator[Row]:
        scene = Scene(place.folder / place.scene.name, "neuralangelo")
        if not scene.root.exists():
            shutil.copytree(place.scene, scene.root)
        case = _named(f"{preset}, {iterations} iterations", overrides)
        options = TrainingOptions(
            preset=preset, iterations=iterations, save_minutes=60.0, overrides=overrides
        )
        start = time.perf_counter()
        numbers = training.train(scene, scene.run(GROUP), options, Progress(None))
        yield Row(case, "train", "wall", time.perf_counter() - start, "s")
        for key, value in numbers.items():
            yield Row(case, "train", key, float(value), "")
        yield from extracted(512)(place)
        yield from _evaluated(scene, case)

    return measure


def extracted(resolution: int) -> Callable[[Place], Iterator[Row]]:
    """A part that extracts what `trained` left in the same folder."""

    def measure(place: Place) -> Iterator[Row]:
        scene = Scene(place.folder / place.scene.name, "neuralangelo")
        start = time.perf_counter()
        report = mesh.run(scene, ExtractOptions(resolution=resolution), Progress(None))
        case = f"extract {resolution}³"
        yield Row(case, "mesh", "wall", time.perf_counter() - start, "s")
        yield Row(case, "mesh", "faces", report.numbers["faces"], "")
        if torch.cuda.is_available():
            peak = torch.cuda.max_memory_allocated() / 2**30
            yield Row(case, "torch", "peak memory", peak, "GiB")

    return measure


def whole(pipeline: str, **settings: Any) -> Callable[[Place], Iterator[Row]]:
    """A part that runs both steps of a pipeline in a copy of the scene, and evaluates."""

    def measure(place: Place) -> Iterator[Row]:
        scene = Scene(place.folder / pipeline / place.scene.name, pipeline)
        if not scene.root.exists():
            shutil.copytree(place.scene, scene.root)
        case = _named(pipeline, settings)
        for name, step in get_pipeline(pipeline).steps.items():
            if name == "prepare":
                continue
            known = {field.name for field in fields(step.options)}
            told = scene.root.parent / f"{name}.json"
            told.write_text(json.dumps({k: v for k, v in settings.items() if k in known}))
            run_step(pipeline, name, scene, told, Progress(scene.events))
            for record in stage_records.read_all(scene, pipeline):
                if record.step == name:
                    yield from _recorded(record, case)
        yield from _evaluated(scene, case)

    return measure


def depth_map(width: int, height: int) -> Callable[[Place], Iterator[Row]]:
    """A part that makes a depth map of a rendered scene, and refines it by its sources' depths."""

    def measure(_: Place) -> Iterator[Row]:
        seen = dense_scene.render(dense_scene.frames_around(12.0, width, height))
        truth, span = seen[0].depth, dense.span_of(seen[0].depth)
        first, *others = (GreyView(s.frame, dense.grey(s), depth=s.depth) for s in seen)
        case = f"depth map, {width} × {height}, {len(others)} sources"
        for run in range(4 if device().type == "cuda" else 1):  # the first makes the kernels
            start = time.perf_counter()
            found = estimate(first, others, span, device=device())
            middle = time.perf_counter()
            better = refine(found, first, others, span, device=device())
            yield Row(case, f"pictures, run {run}", "wall", middle - start, "s")
            yield Row(case, f"+ true depths, run {run}", "wall", time.perf_counter() - middle, "s")
        for what, depth in (("pictures", found.depth), ("+ true depths", better.depth)):
            close = np.abs(depth - truth) < 0.01 * truth
            yield Row(case, what, "pixels < 1 %", 100 * float(close.mean()), "%")
        if torch.cuda.is_available():
            peak = torch.cuda.max_memory_allocated() / 2**30
            yield Row(case, "torch", "peak memory", peak, "GiB")

    return measure


def splat_steps(
    count: int, size: float, width: int, height: int
) -> Callable[[Place], Iterator[Row]]:
    """A part that times one training step of splats that fill a photo's view."""

    def measure(_: Place) -> Iterator[Row]:
        case = f"{count:,} splats of degree 3, {width} × {height}"
        given = splats.gaussians(count, size, 3).to(device())
        camera = splats.camera(width, height, device())
        for what, run in (
            ("forward and backward", splats.raster(splats.render, given, camera)),
            ("whole step", splats.whole_step(given, camera)),
        ):
            for _run in range(5 if device().type == "cuda" else 1):
                run()
            wait()
            start, done = time.perf_counter(), 0
            while done < 200 and time.perf_counter() - start < 3:
                run()
                done += 1
            wait()
            yield Row(case, what, "wall", 1000 * (time.perf_counter() - start) / done, "ms")
        if torch.cuda.is_available():
            peak = torch.cuda.max_memory_allocated() / 2**30
            yield Row(case, "torch", "peak memory", peak, "GiB")
            yield from _profiled(run, case)

    return measure


def _recorded(record: stage_records.StageRecord, case: str) -> Iterator[Row]:
    """What a finished stage took and counted."""
    yield Row(case, record.stage, "wall", record.wall_s, "s")
    yield Row(case, record.stage, "GPU memory", record.gpu_peak_bytes / 2**30, "GiB")
    for key, value in record.numbers.items():
        if isinstance(value, (int, float)):
            yield Row(case, record.stage, key, float(value), "")


def _evaluated(scene: Scene, case: str) -> Iterator[Row]:
    """Its results beside the truth."""
    renderer = get_pipeline(scene.pipeline).renderer
    assert renderer is not None
    opened = importlib.import_module(renderer).open_renderer
    found = evaluation.run(scene, GROUP, Progress(None), TRUTH, opened)
    for key, value in found.items():
        if isinstance(value, (int, float)):
            yield Row(case, "evaluate", key, float(value), "")


def _named(case: str, overrides: dict[str, Any]) -> str:
    changes = [f"{key.split('.')[-1]}={value}" for key, value in overrides.items()]
    return " ".join([case, *changes])


PARTS: dict[str, tuple[float, Callable[[Place], Iterator[Row]]]] = {
    # name: (seconds at most, what it does); a process needs ten of them to begin
    "copies": (20, copies),
    "kernels": (70, kernels),
    "depth map": (90, depth_map(1600, 1200)),
    "photogrammetry": (120, whole("photogrammetry", refine=True)),
    "mvsnet": (120, whole("mvsnet")),
    "splat": (150, whole("splat", iterations=7_000, with_mesh=True)),
    "100k splats": (30, splat_steps(100_000, 0.012, 1600, 1064)),
    "1M splats": (30, splat_steps(1_000_000, 0.006, 1600, 1064)),
    "standard": (40, steps("standard")),
    "full": (45, steps("full")),
    "upstream": (40, steps("full", **UPSTREAM)),
    "train": (200, trained("standard", 20_000)),
    "extract": (60, extracted(2048)),
    "one kernel at a time": (40, steps("standard", **{"trainer.cuda_graphs": False})),
    "float32": (35, steps("standard", **{"trainer.amp_config.enabled": False})),
    "full-8gb": (35, steps("full-8gb")),
    "full-12gb": (35, steps("full-12gb")),
    "full-16gb": (35, steps("full-16gb")),
}


def _trainer(place: Place, preset: str, overrides: dict[str, Any]) -> Trainer:
    options = TrainingOptions(preset=preset, iterations=_LONG, overrides=overrides)
    trainer = training.build(Scene(place.scene, "neuralangelo"), options, ProcessGroup())
    begin(trainer, None)
    wait()
    return trainer


def _paced(trainer: Trainer, case: str, name: str) -> Iterator[Row]:
    for _ in range(10 if trainer.device.type == "cuda" else 1):
        trainer.step()
    wait()
    begun, done = time.perf_counter(), 0
    while done < 200 and time.perf_counter() - begun < _SECONDS_A_PACE:
        trainer.step()
        done += 1
    wait()
    each = (time.perf_counter() - begun) / done
    yield Row(case, name, "iteration", 1000 * each, "ms")
    yield Row(case, name, "speed", trainer.rays / each, "rays/s")
    yield Row(case, name, f"{_LONG} iterations would take", _LONG * each / 60, "min")


def _profiled(step: Callable[[], Any], case: str, count: int = 20) -> Iterator[Row]:
    """What the GPU did during some steps, and how long it had nothing to do."""
    from torch.profiler import ProfilerActivity, profile

    wait()
    begun = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        for _ in range(count):
            step()
        wait()
    wall = 1000 * (time.perf_counter() - begun) / count
    events = record.key_averages()
    on_card = [e for e in events if str(e.device_type).endswith("CUDA")]
    total = sum(e.self_device_time_total for e in on_card) / 1000 / count
    yield Row(case, "profile", "wall under the profiler", wall, "ms")
    yield Row(case, "profile", "card busy", total, "ms")
    yield Row(case, "profile", "kernels and copies", sum(e.count for e in on_card) / count, "")
    for name in ("cudaStreamSynchronize", "cudaMemcpyAsync", "cudaLaunchKernel", "cuLaunchKernel"):
        calls = sum(e.count for e in events if e.key == name)
        yield Row(case, "profile", name, calls / count, "")
    for event in sorted(on_card, key=lambda e: -e.self_device_time_total)[:16]:
        spent = event.self_device_time_total / 1000 / count
        yield Row(case, "profile", event.key[:90], spent, "ms")
