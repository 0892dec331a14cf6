"""What an upstream engine's job left, taken over into the scene's own results and report."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.scene.paths import Scene


def take_over(document: dict[str, Any], settings: Settings, as_json: bool) -> None:
    """Bring results under our names and note whose program computed, where it was not ours.

    Raises:
        MaquetteError: what the program left can not be used.
    """
    from maquette.cli.scenes import write_page
    from maquette.errors import MaquetteError
    from maquette.pipelines.pipeline import NATIVE
    from maquette.pipelines.registry import get_pipeline
    from maquette.runners.tracking import is_complete
    from maquette.scene.paths import Scene
    from maquette.scene.report import note_licence

    ours = document["maquette"]
    if not is_complete(document) or ours.get("engine", NATIVE) == NATIVE:
        return
    scene, step = Scene(settings.scene_dir, ours["pipeline"]), ours["step"]
    pipeline = get_pipeline(scene.pipeline)
    if pipeline.stages_of(step, pipeline.engine_for(step, ours["engine"])):
        _run_stages(scene, step, ours["engine"], as_json)
    note_licence(scene, step, ours["licence"])
    with suppress(MaquetteError, RuntimeError):  # the page can be written later
        write_page(settings)


def _run_stages(scene: Scene, step: str, engine: str, as_json: bool) -> None:
    from maquette.cli.data_plane import run_program
    from maquette.pipelines.registry import owner_of

    options = scene.options_file(owner_of(scene.pipeline, step), step)
    argv = [sys.executable, "-m", "maquette.recon.step", scene.pipeline, step]
    argv += ["--engine", engine, "--scene", str(scene.root), "--options", str(options)]
    run_program(argv, f"taking over the results of {engine}", as_json)
