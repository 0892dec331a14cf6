"""`maquette-step <pipeline> <step> --scene DIR --options FILE`: runs one step, anywhere.

With `--shard STAGE:NUMBER` it does that part of a stage alone, which `shards.json` lists.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from maquette.errors import (
    ConfigError,
    ExitCode,
    JobFailed,
    MaquetteError,
    NotFound,
    from_os_error,
    missing_part,
)
from maquette.pipelines import commands
from maquette.pipelines import options as step_options
from maquette.pipelines.pipeline import NATIVE, OURS, Pipeline
from maquette.pipelines.registry import get_pipeline, naming, owner_of
from maquette.recon import stopping
from maquette.recon.executing import executor_for
from maquette.recon.gpu_memory import TorchMeter
from maquette.recon.report_page.writing import write_after
from maquette.scene import layout, lock, outputs
from maquette.scene.atomic import remove_abandoned
from maquette.scene.events import Progress
from maquette.scene.layout import open_scene
from maquette.scene.paths import Scene
from maquette.scene.report import write_report
from maquette.stages import pruning
from maquette.stages.declaring import find_stage
from maquette.stages.one_shard import run_shard
from maquette.stages.running import run_stages
from maquette.stages.stage import Stage


def main(argv: Sequence[str] | None = None) -> int:
    """Run a step and return its exit code; see `maquette.errors.ExitCode`."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that knows few letters gets `?`
            stream.reconfigure(errors="replace")
    scene = Scene(arguments.scene.resolve(), arguments.pipeline)
    complete = partial(
        commands.completed,
        names=commands.names_of_scene(scene.pipeline, scene.name, _group(arguments.options)),
    )
    progress = Progress(None, complete=complete)
    try:
        stopping.install()
        events = None  # a shard writes its own files alone
        if not arguments.shard:
            scene.stages.mkdir(parents=True, exist_ok=True)
            events = scene.events
        progress = Progress(events, check=stopping.check, complete=complete)
        run_step(
            arguments.pipeline, arguments.step, scene, arguments.options, progress,
            arguments.engine, arguments.shard,
        )  # fmt: skip
    except MaquetteError as error:
        return _fail(progress, error)
    except ModuleNotFoundError as error:
        return _fail(progress, missing_part("recon", "a step on this machine", error))
    except OSError as error:
        return _fail(progress, from_os_error(error, f"running {arguments.step}"))
    except MemoryError:
        return _fail(progress, _out_of_memory(arguments.pipeline, arguments.step, scene.name))
    except Exception:
        traceback.print_exc()
        return ExitCode.BUG
    return ExitCode.OK


def run_step(
    pipeline: str,
    step: str,
    scene: Scene,
    options_path: Path,
    progress: Progress,
    engine: str = NATIVE,
    shard: str = "",
) -> None:
    """Run the stages of one step in a scene that nobody else writes to meanwhile.

    Args:
        engine: Whose program has computed: of an upstream one, what it made is taken over.
        shard: Do this one alone, while the step that waits for it holds the scene.

    Raises:
        ConfigError: unknown pipeline, step or engine, or unusable options.
        JobFailed: another step holds the scene.
        MaquetteError: a stage failed.
    """
    method = get_pipeline(pipeline)
    if step not in method.steps:
        raise ConfigError(
            f"there is no step `{step}` of pipeline `{pipeline}`",
            hint=f"its steps: {', '.join(method.steps)}",
        )
    if engine not in (known.name for known in method.engines):
        raise ConfigError(f"there is no engine `{engine}` of pipeline `{pipeline}`")
    chosen = method.engine_for(step, engine)
    options = step_options.read(method.steps[step].options, options_path)
    names = method.stages_of(step, chosen, scene.root, getattr(options, "input", ""))
    if getattr(options, "gpus", None) == 0:
        _hide_gpus()
    if shard:
        run_shard(shard, _load(names), scene, owner_of(pipeline, step), options, progress)
        return
    executor = executor_for(pipeline, step, options_path)
    with lock.held(scene, progress.say):
        open_scene(scene.root, pipeline, is_locked=True, say=progress.warn)
        if chosen.is_ours:
            _look_for_needs(scene, method, step)
        layout.mark(scene)
        remove_abandoned(scene.root)
        stages = [stage for stage in _load(names) if stage.applies(scene, options)]
        progress.event("step", step=step, stages=[stage.name for stage in stages])
        owner = owner_of(pipeline, step)
        run_stages(stages, step, scene, options, progress, owner, executor, TorchMeter())
        replaced = [name for other in method.engines for name in method.stages_of(step, other)]
        outputs.replace(
            scene, owner, {name.rpartition(".")[2] for name in replaced if name not in names}
        )
        write_report(scene, step, chosen.licence)
        write_after(scene, progress)
        if options.prune:
            known = _stages_of_all(method, scene)
            pruning.prune(scene, known, progress, keep=options.until_stage)


def _stages_of_all(method: Pipeline, scene: Scene) -> list[tuple[str, Stage]]:
    """The stages of all steps as they are in this scene, each with whose records it gets."""
    return [
        (owner_of(method.name, verb), stage)
        for verb in method.steps
        for stage in _load(method.stages_of(verb, OURS, scene.root))
    ]


def _group(options: Path) -> str:
    """The group that a step's options name; "" where they can not be read, which is told later."""
    try:
        return str(json.loads(options.read_text(encoding="utf-8")).get("group", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _hide_gpus() -> None:
    """Leave the GPUs alone in this process and its helpers, whoever started it.

    CUDA looks here when it is first used, which no step does before it has read its options.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _look_for_needs(scene: Scene, pipeline: Pipeline, step: str) -> None:
    """Refuse a step whose predecessor never ran here.

    Raises:
        NotFound: what it needs is not in the scene.
    """
    verb, needed = pipeline.verb_for(step), pipeline.needs(step, scene.root)
    if verb and not (scene.root / needed).exists():
        raise NotFound(
            f"{step} needs `{needed}`, which is not in the scene `{scene.name}`",
            hint=f"`make {verb}` makes it",
        )


def _load(names: Sequence[str]) -> list[Stage]:
    """The stages of modules, which are named from `recon/stages/` or whole."""
    return [find_stage(name, "maquette.recon.stages") for name in names]


def _fail(progress: Progress, error: MaquetteError) -> int:
    try:
        return progress.failed(error)
    except OSError:  # the events file is on the disk that just failed; the log still tells
        return Progress(None, complete=progress.complete).failed(error)


def _out_of_memory(pipeline: str, step: str, model: str) -> JobFailed:
    smaller = get_pipeline(pipeline).steps[step].smaller
    names = naming(pipeline, step, model)
    return JobFailed(f"{step} ran out of memory", hint=f"try `make {step} {names} {smaller}`")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="maquette-step", description=__doc__)
    parser.add_argument("pipeline", help="e.g. neuralangelo")
    parser.add_argument("step", help="prepare, process or extract")
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--options", type=Path, required=True, help="a JSON file")
    parser.add_argument("--engine", default=NATIVE, help="take over what this one made")
    parser.add_argument("--shard", default="", metavar="STAGE:NUMBER", help="do this part alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
