"""Stage `descent`: splats trained on with views nearer to the ground, where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from maquette.errors import ConfigError
from maquette.recon import gpus
from maquette.recon.aerial.descent import DescentOptions, Level
from maquette.recon.aerial.descent_levels import Descent, Flight
from maquette.recon.aerial.descent_pruning import Pruning
from maquette.recon.aerial.descent_views import Levels
from maquette.recon.aerial.map_frame import map_frame
from maquette.recon.mesh.upright import up_direction
from maquette.recon.splats.run_files import REFINED
from maquette.recon.splats.trained import Trained, read_trained, write_refined
from maquette.recon.stages.aerial import STAGES
from maquette.scene import checkpoints, georeference, outputs, transforms
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["descent"]

_LONG_SIDE_PX = 1200  # of the photos that are warped


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `refined.ply` beside the newest checkpoint, for DESCENT; else take it away.

    Raises:
        ConfigError: an option can not be read.
        BadInput: the checkpoint is damaged.
    """
    folder, picture = scene.run(options.group), scene.results / f"{scene.name}_descent.png"
    if not options.descent:
        for path in (folder / REFINED, picture):
            path.unlink(missing_ok=True)
        return Report(())
    levels, settings = _levels(options), _settings(options)
    newest = checkpoints.chosen(folder)
    trained = read_trained(newest.path)
    cameras = transforms.read(scene.transforms)
    place = georeference.read(scene.georeference)
    frame = map_frame(place, up_direction(cameras.frames, cameras.up))
    device = gpus.device_of(options.gpus)
    flight = Flight(scene, cameras.frames, frame, _LONG_SIDE_PX, device)
    descent = Descent(flight, levels, settings, trained.background)
    made = descent.run(trained.gaussians.to(device), progress.step)
    refined = Trained(made.splats.to("cpu"), trained.iteration, trained.background)
    path = write_refined(folder, refined, newest.path.name)
    with replacing(picture) as temporary:
        made.sheet.save(temporary)
    kept = [share for share, level in zip(levels.altitudes, made.levels, strict=True)
            if level.is_kept]  # fmt: skip
    numbers = {
        "levels": len(made.levels),
        "levels_kept": len(kept),
        "splats": len(made.splats),
        "lost_db": [round(level.lost_db, 3) for level in made.levels],
        "photo_share": [round(level.real_share, 3) for level in made.levels],
    }
    remarks = [] if len(kept) == len(made.levels) else [_told(levels, made.levels)]
    return Report([picture], mutable=[path], numbers=numbers, remarks=remarks,
                  kinds={picture: outputs.PICTURE})  # fmt: skip


def _told(levels: Levels, found: Iterable[Level]) -> str:
    lost = [
        f"{share:g} ({level.lost_db:.2f} dB)"
        for share, level in zip(levels.altitudes, found, strict=True)
        if not level.is_kept
    ]
    return f"levels that cost held-out photos too much were not kept: {', '.join(lost)}"


def check(scene: Scene, options: DeclaredOptions) -> None:
    """Refuse levels that can not be, before splats are trained for them.

    Raises:
        ConfigError: DESCENT_ALTITUDES, DESCENT_FOV or DESCENT_DENSIFY is unusable.
    """
    _levels(options)
    _settings(options)


def _levels(options: DeclaredOptions) -> Levels:
    altitudes = [_number("DESCENT_ALTITUDES", word) for word in
                 options.descent_altitudes.split(",")]  # fmt: skip
    if any(not 0 < share <= 1 for share in altitudes) or altitudes != sorted(altitudes)[::-1]:
        raise ConfigError(
            f"DESCENT_ALTITUDES={options.descent_altitudes}: shares above 0 and up to 1, from "
            "high to low, are wanted",
            hint="e.g. DESCENT_ALTITUDES=1,0.5,0.25",
        )
    widest, narrowest = (_number("DESCENT_FOV", word) for word in options.descent_fov.split())
    if not all(1 <= angle <= 150 for angle in (widest, narrowest)):
        raise ConfigError(
            f"DESCENT_FOV={options.descent_fov}: angles of 1 to 150 degrees are wanted",
            hint="e.g. DESCENT_FOV='75 35'",
        )
    return Levels(
        altitudes, widest, narrowest, options.descent_overlap, options.descent_inset,
        options.descent_views, options.descent_size,
    )  # fmt: skip


def _settings(options: DeclaredOptions) -> DescentOptions:
    first, last = (_number("DESCENT_DENSIFY", word) for word in options.descent_densify.split())
    pruning = Pruning(
        options.descent_min_opacity, options.descent_max_elongation, options.descent_largest
    )
    return DescentOptions(
        options.descent_iterations, first, last, pruning=pruning, seed=options.seed
    )


def _number(setting: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not np.isfinite(value):
        raise ConfigError(f"{setting}: `{word}` is no number", hint="e.g. 0.5")
    return value
