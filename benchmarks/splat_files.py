"""How large are files of splats, and how much worse do they show the photographs?

    .venv/bin/python benchmarks/splat_files.py scenes/owl [--json] [--prune 0 0.05 0.08]

Of the master that `make extract PIPELINE=splat` left in the scene: bytes of a file, how many times
smaller than the master it is, the dB lost on held-out photos, and processor seconds. `even` is a
`.sog` whose writer knows no photos, `sog` one that heeds them, as the stage `export` writes it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from maquette.recon.evaluate.views import held_out
from maquette.recon.splats.files.ply import read_ply
from maquette.recon.splats.files.sog import write_sog
from maquette.recon.splats.files.sog_reading import read_sog
from maquette.recon.splats.files.spz import read_spz, write_spz
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.importance import importance_in, kept_rows
from maquette.recon.splats.quality import Quality
from maquette.recon.splats.sensitivity import sensitivity_in
from maquette.scene import transforms
from maquette.scene.paths import Scene
from rows import Row, print_rows

Write = Callable[[Path], object]
Read = Callable[[Path], Gaussians]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--prune", type=float, nargs="*", default=[0.0], help="shares left out")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    scene = Scene(arguments.scene, "splat")
    master = scene.results / f"{scene.name}.ply"
    whole, size = read_ply(master), master.stat().st_size
    frames = transforms.read(scene.transforms).frames
    quality = Quality(scene, held_out(frames), whole)
    worth = importance_in(whole, frames)
    rows = [Row("master", "ply", "size", size, "bytes")]
    for ratio in arguments.prune:
        part = whole.chosen(kept_rows(whole, ratio, worth))
        start = time.process_time()
        shown = sensitivity_in(part, frames, 10 ** (-quality.psnr_db / 10))
        looked = time.process_time() - start
        ways: dict[str, tuple[Write, Read, float]] = {
            "spz": (lambda path, part=part: write_spz(path, part), read_spz, 0.0),
            "even": (lambda path, part=part: write_sog(path, part), read_sog, 0.0),
            "sog": (
                lambda path, part=part, shown=shown: write_sog(path, part, shown=shown),
                read_sog, looked,
            ),
        }  # fmt: skip
        for tool, (write, read, before) in ways.items():
            rows += measured(f"PRUNE_RATIO={ratio:g}", tool, write, read, quality, size, before)
    print_rows(rows, arguments.json)


def measured(
    case: str, tool: str, write: Write, read: Read, quality: Quality, size: int, before: float
) -> list[Row]:
    """Rows of one file; `before` are seconds that it took to prepare it."""
    with tempfile.TemporaryDirectory() as folder:
        path, start = Path(folder) / "a", time.process_time()
        write(path)
        seconds, bytes_ = before + time.process_time() - start, path.stat().st_size
        lost = quality.lost_db(read(path))
    return [
        Row(case, tool, "size", bytes_, "bytes"),
        Row(case, tool, "smaller than the master", size / bytes_, "times"),
        Row(case, tool, "lost", lost, "dB"),
        Row(case, tool, "processor", seconds, "s"),
    ]


if __name__ == "__main__":
    main()
