"""Stage `index`: a data set that lies elsewhere is whole, and known by its parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maquette.recon.mvsnet.datasets import location, opening
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage


def bring(scene: Scene, options: DeclaredOptions, progress: Progress) -> None:
    """Write down where the data lie; their files' names and sizes are this stage's key."""
    location.note(scene, options.input)


def files(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    """What the key is made of."""
    return [location.listing_file(scene)]


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Check the layout and write `dataset/index.json`."""
    found = location.write_index(scene)
    remarks = opening.remarks(found)
    for remark in remarks:
        progress.say(remark)
    numbers = {"kind": found["kind"], **opening.counts(found)}
    return Report([location.index_file(scene)], numbers=numbers, remarks=remarks)


STAGE = Stage("index", 1, run, files=files, bring=bring, reads=("input",))
