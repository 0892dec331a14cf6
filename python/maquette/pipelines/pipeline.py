"""The form of a method's description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from maquette.pipelines.options import Option, StepOptions, options_of


@dataclass(frozen=True)
class Images:
    """How many images a step works on, and how large they are."""

    count: int
    megapixels: float


@dataclass(frozen=True)
class Step:
    """One verb of a pipeline.

    Attributes:
        options: What it may be told.
        stages: Modules of `recon/stages/`, in order.
        work: The amount of work, from the options and the images; what takes twice as long has
            about twice as much.
        smaller: The setting that makes it need less memory, e.g. `BLOCK_RES=64`.
        needs: What has to be in the scene before it, a file or a folder with a slash at its end;
            made by the step before it, or for the first one by INPUT.
    """

    options: type[StepOptions]
    stages: tuple[str, ...]
    work: Callable[[Mapping[str, Any], Images], float]
    smaller: str
    needs: str


@dataclass(frozen=True)
class Pipeline:
    """A method.

    Attributes:
        summary: One sentence for a person who chooses.
        steps: By verb, in the order in which they run.
        renderer: The module whose `open_renderer` shows views of what was made, so that they can
            be evaluated (`recon/evaluate/protocols.py`); "" where nothing does.
    """

    name: str
    summary: str
    steps: Mapping[str, Step]
    renderer: str = ""

    def settings(self) -> dict[str, dict[str, Option]]:
        """Every setting that some step understands: its option in each of these, by verb."""
        found: dict[str, dict[str, Option]] = {}
        for verb, step in self.steps.items():
            for option in options_of(step.options):
                found.setdefault(option.setting, {})[verb] = option
        return found
