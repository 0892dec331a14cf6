"""`python -m maquette.recon.mvsnet.generated --out FOLDER --count N`: write scenes as folders."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from maquette.recon import stopping
from maquette.recon.programs import exit_code
from maquette.scene.events import Progress

LIST = "scenes.txt"


def main(argv: Sequence[str] | None = None) -> int:
    """Write them, telling progress as events; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress(check=stopping.check)

    def write() -> None:
        stopping.install()
        with progress.stage("scenes"):
            progress.event("started")
            clock = time.monotonic()
            written = run(arguments, progress)
            numbers = {"scenes": arguments.count, "written": written, "out": str(arguments.out)}
            wall_s = round(time.monotonic() - clock, 3)
            progress.event("finished", numbers=numbers, wall_s=wall_s)

    return exit_code(progress, "making scenes up", "writing scenes", write)


def run(arguments: argparse.Namespace, progress: Progress) -> int:
    """Write the scenes that are not there yet; returns how many.

    Scene n of a seed is always the same; `scenes.txt` names all that are whole.
    """
    from maquette.recon import gpus
    from maquette.recon.mvsnet.generated.scenes import generate
    from maquette.recon.mvsnet.generated.source import scene_seed
    from maquette.recon.mvsnet.generated.writing import write_scene
    from maquette.scene.atomic import write_text

    file: Path = arguments.out / LIST
    done = file.read_text(encoding="utf-8").split() if file.is_file() else []
    written, device = 0, gpus.device_of(arguments.gpus)
    for number in range(arguments.count):
        progress.step("scenes", number, arguments.count)
        name = f"s{arguments.seed}_{number:06d}_{arguments.size[0]}x{arguments.size[1]}"
        if name in done:
            continue
        seed = scene_seed((number, arguments.seed))
        made = generate(seed, tuple(arguments.size), arguments.views, device=device)
        write_scene(arguments.out / name, made)
        done.append(name)
        write_text(file, "\n".join(done) + "\n")
        written += 1
    return written


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m maquette.recon.mvsnet.generated", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder")
    parser.add_argument("--count", type=int, default=8, help="how many scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 512), metavar=("W", "H"))
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--gpus", type=int, default=1, help="0: the processor alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
