"""Stage `index`: a data set that lies elsewhere is whole, and known by its parts."""

from __future__ import annotations

from maquette.recon.mvsnet.datasets import location, opening
from maquette.recon.stages.mvsnet import STAGES
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["index"]


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Check the layout and write `dataset/index.json`."""
    found = location.write_index(scene)
    remarks = opening.remarks(found)
    for remark in remarks:
        progress.say(remark)
    numbers = {"kind": found["kind"], **opening.counts(found)}
    return Report([location.index_file(scene)], numbers=numbers, remarks=remarks)
