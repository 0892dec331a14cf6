"""Build the job of a step from its definition and the settings."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from maquette.config.settings import COMMAND_LINE, Settings
from maquette.containers.options import ImageOptions
from maquette.containers.variants import choose, image_reference
from maquette.errors import ConfigError
from maquette.jobs import inputs
from maquette.jobs.spec import JobSpec, new_job_id
from maquette.pipelines.options import StepOptions, from_mapping, options_of
from maquette.pipelines.pipeline import NATIVE, Engine
from maquette.pipelines.registry import get_pipeline
from maquette.planning.definitions import default_flavor, definition_of
from maquette.planning.rendering import render_file
from maquette.resources import ROOT, version
from maquette.runners.registry import BACKENDS


def build_job(step: str, settings: Settings, job_id: str = "") -> JobSpec:
    """Render `jobs/<pipeline>/<step>.yaml` into a job.

    Raises:
        ConfigError: an undefined variable, an unknown key, an unusable option, or one that means
            nothing to what the scene is of.
    """
    definition, options = _definition(step, settings)
    _check_kind_of_input(step, settings, str(options.get("input", "")))
    job_id = job_id or new_job_id(step)
    spec = definition["spec"]
    spec["labels"] = {**spec.get("labels", {}), "maquette-job": job_id}
    return JobSpec(
        id=job_id,
        model=settings.model,
        group=settings.group,
        pipeline=settings.pipeline,
        step=step,
        scene=settings.scene_dir,
        logs=settings.logs_dir,
        command=tuple(str(word) for word in definition["command"]),
        options=options,
        data=settings.data,
        input=resolve_input(settings) if "input" in options else inputs.NO_INPUT,
        spec=spec,
        backend_options=settings.public_backend_options(),
        engine=engine_of(step, settings),
        input_place=definition.get("input_place", ""),
    )


def _definition(step: str, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rendered definition of the wanted engine, and the step's options."""
    values, engine = variables(step, settings), engine_of(step, settings)
    path = definition_of(settings.pipeline, step, engine)
    definition = render_file(path, values)
    known = set() if engine.is_ours else {"input_place"}
    if unknown := definition.keys() - known - {"command", "spec"}:
        raise ConfigError(f"`{path.name}` has unknown keys: {', '.join(sorted(unknown))}")
    if not (engine.is_ours or engine.collects):  # it has its own command line, and may need INPUT
        return definition, {"input": values["input"]} if definition.get("input_place") else {}
    return definition, asdict(step_options(step, settings))


def _check_kind_of_input(step: str, settings: Settings, given: str) -> None:
    """Refuse what does not fit the input's kind: photos, or another that the method knows.

    Args:
        given: INPUT as the step is told it.

    Raises:
        ConfigError: an option of the command line counts with another kind alone, or the data lie
            where the backend's machines do not see them.
    """
    pipeline, scene = get_pipeline(settings.pipeline), settings.scene_dir
    known = pipeline.steps[step].for_scene(scene, given)
    if known.is_in_place and not BACKENDS[settings.backend].shares_folders:
        sharing = [name for name, backend in BACKENDS.items() if backend.shares_folders]
        raise ConfigError(
            f"the data set of `{settings.model}` is read where it lies, which no machine of "
            f"BACKEND={settings.backend} sees",
            hint=f"BACKEND={', '.join(sharing[:-1])} or {sharing[-1]}",
        )
    if not (known.is_in_place or (scene / pipeline.needs(step, scene)).exists()):
        return  # of what kind the scene will be is not known yet
    typed = {name for name, source in settings.sources.items() if source == COMMAND_LINE}
    if unread := sorted(known.unread & typed):
        raise ConfigError(
            f"{', '.join(unread)} means nothing to `make {step}` of what `{settings.model}` is of",
            detail=f"here it runs: {', '.join(name.rpartition('.')[2] for name in known.stages)}",
            hint="leave it out; docs/settings.md says what it is for",
        )


def engine_of(step: str, settings: Settings) -> Engine:
    """Whose program computes a step.

    Raises:
        ConfigError: LICENSE_MODE forbids it.
    """
    engine = get_pipeline(settings.pipeline).engine_for(step, settings.engine)
    if settings.license_mode == "commercial" and not engine.is_commercial:
        raise ConfigError(
            f"ENGINE={engine.name} can not be used with LICENSE_MODE=commercial",
            detail=f"its licence forbids it: {engine.licence}",
            hint=f"ENGINE={NATIVE} computes the same with a licence that allows it",
        )
    return engine


def step_options(step: str, settings: Settings) -> StepOptions:
    """What a step is told: the settings that it understands, and the facts that planning knows.

    Raises:
        ConfigError: a value can not be read.
    """
    kind = get_pipeline(settings.pipeline).steps[step].options
    known = {
        "group": settings.group, "input": resolve_input(settings).told, "gpus": settings.gpu,
    }  # fmt: skip
    values = {item.name: known[item.name] for item in fields(kind) if not item.metadata}
    for option in options_of(kind):
        value = settings.options[option.setting.lower()]
        values[option.field] = option.parse(value) if option.parse else value
    return from_mapping(kind, values)


def variables(step: str, settings: Settings) -> dict[str, Any]:
    """What a job definition may refer to: settings, the step's options, and a few facts more."""
    values, asked = settings.model_dump(mode="json"), settings.of(ImageOptions)
    return {
        **values,
        **asdict(step_options(step, settings)),
        "step": step,
        "version": version(),
        "flavor": asked.flavor or default_flavor(settings.pipeline, step),
        "given_image": asked.image,
        "image": asked.image or image_of(settings, step),
    }


def image_of(settings: Settings, step: str) -> str:
    """Our image for the GPU of FLAVOR or of the step's own machine, or for VARIANT."""
    asked = settings.of(ImageOptions)
    flavor = asked.flavor
    if BACKENDS[settings.backend].rents_machines:
        flavor = flavor or default_flavor(settings.pipeline, step)
    variant = choose(flavor, settings.gpu) if asked.variant == "auto" else asked.variant
    return image_reference(version(), variant, asked.registry)


def resolve_input(settings: Settings) -> inputs.Input:
    """What INPUT is; the bundled sample is the input of its own model.

    Raises:
        ConfigError: an address of a kind that can not be fetched.
    """
    sample = ROOT / "samples" / f"{settings.model}.mp4"
    return inputs.resolve(settings.input, settings.scene_dir, sample)
