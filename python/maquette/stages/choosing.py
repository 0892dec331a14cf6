"""Which stages of a step are to run: FROM, UNTIL and FORCE_STAGE."""

from __future__ import annotations

from collections.abc import Sequence

from maquette.errors import ConfigError
from maquette.pipelines.options import StepOptions
from maquette.stages.stage import Stage


def between(stages: Sequence[Stage], step: str, options: StepOptions) -> Sequence[Stage]:
    """The stages from FROM to UNTIL.

    Raises:
        ConfigError: one of them is no stage of the step, or they are the wrong way round.
    """
    names = [stage.name for stage in stages]
    first = _position(names, step, options.from_stage, "FROM", 0)
    last = _position(names, step, options.until_stage, "UNTIL", len(names) - 1)
    if first > last:
        raise ConfigError(
            f"FROM={options.from_stage} comes after UNTIL={options.until_stage}",
            hint=f"the stages of {step} in order: {', '.join(names)}",
        )
    return stages[first : last + 1]


def _position(names: list[str], step: str, wanted: str, variable: str, default: int) -> int:
    if not wanted:
        return default
    if wanted not in names:
        raise ConfigError(
            f"{variable}={wanted} is no stage of {step}",
            hint=f"its stages in order: {', '.join(names)}",
        )
    return names.index(wanted)


def forced(stages: Sequence[Stage], options: StepOptions) -> frozenset[str]:
    """The names of the stages that FORCE_STAGE has done again.

    Raises:
        ConfigError: it names no stage of the step.
    """
    names = [stage.name for stage in stages]
    if options.redoes_all:
        return frozenset(names)
    if not options.force_stage:
        return frozenset()
    _position(names, "this step", options.force_stage, "FORCE_STAGE", 0)
    return frozenset({options.force_stage})
