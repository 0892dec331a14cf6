"""Does photogrammetry's memory grow with the number of photos?

    .venv/bin/python benchmarks/dense_memory.py [--json] [--photos 16 100 500] [--width 240]

A rendered scene of 16 photos has its depth maps made; the larger sets show the same 16 places again
and again, with their maps beside them. Each later stage runs in a process of its own, which tells
the most memory that it held and its CPU seconds. What programs and libraries take, about
0.4 GiB, is in all of them.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from maquette.pipelines.photogrammetry.options import ExtractOptions, ProcessOptions
from maquette.recon.stages.dense import (
    consistency,
    depthmaps,
    filtered,
    fuse,
    neighbours,
    pictures,
    refined,
    surface,
    texture,
)
from maquette.scene import stage_records, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage
from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from synthetic_scene import write_landmarks, write_posed_scene  # noqa: E402

PLACES, LANDMARKS = 16, 400
PROCESS = ProcessOptions(source_views=4, sweeps="3 2", min_views=2, speckle_size=20)
EXTRACT = ExtractOptions(refine=True, refine_rounds="1", resolution=400)
STAGES: dict[str, tuple[Stage, ...]] = {
    "process": (neighbours.STAGE, depthmaps.STAGE, consistency.STAGE, fuse.STAGE),
    "extract": (surface.STAGE, filtered.STAGE, refined.STAGE, texture.STAGE, pictures.STAGE),
}
MEASURED = ("fuse", "surface", "filtered", "refined", "texture", "pictures")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--photos", type=int, nargs="+", default=[16, 100, 500])
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--given", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        run_until(arguments.scene, arguments.stage, arguments.given)
        print(_most_kib(), time.process_time())
        return
    with tempfile.TemporaryDirectory() as folder:
        print_rows(measured(Path(folder), arguments.photos, arguments.width), arguments.json)


def measured(folder: Path, counts: list[int], width: int) -> list[Row]:
    """Memory and time of each stage and number of photos."""
    base = Scene(folder / "base", "photogrammetry")
    write_posed_scene(base.root, PLACES, width, width * 3 // 4)
    write_landmarks(base, LANDMARKS)
    rows = _rows(base, PLACES, ("depthmaps", "consistency"), False)
    for count in counts:
        scene = repeated(base, Scene(folder / f"photos-{count}", "photogrammetry"), count)
        rows += _rows(scene, count, MEASURED, True)
        record = stage_records.read(scene, "refined")
        assert record is not None
        faces = record.numbers["faces"]
        rows.append(Row(f"refined, {count} photos", "maquette", "faces", faces, ""))
    return rows


def _rows(scene: Scene, count: int, stages: tuple[str, ...], is_given: bool) -> list[Row]:
    rows = []
    for name in stages:
        argv = [sys.executable, __file__, "--stage", name, "--scene", str(scene.root)]
        argv += ["--given"] * is_given
        child = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        most_kib, spent_s = map(float, child.stdout.split()[-2:])
        case = f"{name}, {count} photos"
        rows.append(Row(case, "maquette", "memory", most_kib / 2**20, "GiB"))
        rows.append(Row(case, "maquette", "cpu", spent_s, "s"))
        print(rows[-2], rows[-1], file=sys.stderr, flush=True)
    return rows


def repeated(base: Scene, scene: Scene, count: int) -> Scene:
    """A scene that shows the places of another over and over, with depth maps beside them."""
    known = transforms.read(base.transforms)
    scene.images.mkdir(parents=True)
    frames = []
    for number in range(count):
        frame = known.frames[number % PLACES]
        copy = replace(frame, file_path=f"images/{number:05}.png")
        (scene.root / copy.file_path).hardlink_to(base.root / frame.file_path)
        frames.append(copy)
    transforms.write(scene.transforms, replace(known, frames=tuple(frames)))
    write_landmarks(scene, LANDMARKS)
    stereo = base.dense("experiments") / "stereo"
    for path in stereo.rglob("*.png.*.bin"):
        name, _, kind = path.name.partition(".png.")
        for number in range(int(name), count, PLACES):
            to = scene.dense("experiments") / "stereo" / path.relative_to(stereo).parent
            to.mkdir(parents=True, exist_ok=True)
            (to / f"{number:05}.png.{kind}").hardlink_to(path)
    return scene


def run_until(root: Path, last: str, is_given: bool) -> None:
    """Run the stages of a scene that are not done, up to one of them."""
    scene = Scene(root.resolve(), "photogrammetry")
    for step, options in (("process", PROCESS), ("extract", EXTRACT)):
        stages = [_given(one) if is_given else one for one in STAGES[step]]
        names = [one.name for one in stages]
        chosen = replace(options, until_stage=last if last in names else "")
        run_stages(stages, step, scene, chosen, Progress(log=io.StringIO()))
        if last in names:
            return


def _most_kib() -> int:
    """The most memory of this process; the kernel's usage counts that of its parent too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _given(stage: Stage) -> Stage:
    if stage.name not in ("depthmaps", "consistency"):
        return stage

    def nothing(*_: Any) -> Report:
        return Report([])

    return Stage(stage.name, 1, nothing)


if __name__ == "__main__":
    main()
