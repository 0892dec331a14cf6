"""Stage `input`: the person's files lie in `input/` and can make a scene."""

from __future__ import annotations

from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames import sources
from maquette.recon.stages.common import STAGES
from maquette.scene.events import Progress
from maquette.scene.input_source import everything_below
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["input"]


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Check every photo, or the video, of `input/`."""
    source = sources.examine(scene.input)
    size_bytes = sum(path.stat().st_size for path in everything_below(scene.input))
    numbers: dict[str, object] = {"size_bytes": size_bytes}
    if source.facts is not None:
        numbers |= {
            "kind": "video",
            "frames": source.facts.frames,
            "duration_s": round(source.facts.duration_s, 3),
            "width": source.facts.width,
            "height": source.facts.height,
        }
    else:
        numbers |= {"kind": "photos", "photos": len(source.photos)}
    for remark in source.remarks:
        progress.say(remark)
    return Report(everything_below(scene.input), numbers=numbers, remarks=source.remarks)
