"""Stage `matches`: verified matches of picture pairs in `database.db`."""

from __future__ import annotations

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames.folders import replacing_file
from maquette.recon.sfm import colmap, matching, pairs, plausibility, preemption
from maquette.scene import originals
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report, Stage

_STILL = (
    "most of what the pictures share stands still: the camera did not move, or an object turned "
    "before a background that stands; masks of the object help (docs/inputs.md)"
)


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Match in a copy of the database that then takes its place, so a kill leaves it as it was."""
    names = colmap.image_names(scene.database)
    method = pairs.choose(options.matcher, len(names), originals.is_video(scene))
    with replacing_file(scene.database) as database:
        colmap.copy(scene.database, database)
        matching.clear(database)
        wanted = matching.propose(database, names, method, options.seed)
        progress.say(
            f"{method} matching of {counted(len(wanted), 'pair')} of {len(names)} pictures"
        )
        preemptive = options.matcher == "auto" and preemption.pays(database, wanted)
        search = preemption.match if preemptive else matching.match
        search(database, names, wanted, options.seed, progress)
        colmap.settle(database)
        moved = plausibility.motion(database)
        numbers = {
            "matcher": method,
            "preemptive": preemptive,
            "pairs": len(wanted),
            **matching.counts(database),
        }
    if numbers["pairs_verified"] == 0:
        raise BadInput(
            f"no two of the {len(names)} pictures show the same thing",
            hint="pictures must overlap by two thirds; check that INPUT is one scene",
        )
    if moved.only_turns:
        raise BadInput(
            f"the camera only turned on the spot: its {len(names)} pictures show no depth",
            detail=f"a turn explains all {counted(moved.pairs, 'pair')}, "
            f"with a focal length near {moved.focal_px:.0f} px",
            hint="walk around the object, or sideways along it, and film again",
        )
    remarks = [_STILL] if moved.stands_still else []
    for remark in remarks:
        progress.say(remark)
    return Report((), mutable=[scene.database], numbers=numbers, remarks=remarks)


STAGE = Stage(
    "matches",
    2,
    run,
    parameters=("matcher", "seed"),
    after=("features",),
    packages=("pycolmap",),
)
