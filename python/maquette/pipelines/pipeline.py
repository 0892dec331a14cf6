"""The form of a method's description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maquette.pipelines.options import Option, StepOptions, options_of

COMMON = "common"  # in place of a pipeline's name: what all of them share
NATIVE = "native"


@dataclass(frozen=True)
class Images:
    """How many images a step works on, and how large they are."""

    count: int
    megapixels: float


@dataclass(frozen=True)
class Alternative:
    """Other stages of a step, for another kind of input than its usual one.

    Attributes:
        marks: Patterns of paths below INPUT, a folder: one that is there tells its kind.
        scene_marks: The same below the scene, where INPUT is not given.
        stages, needs, advice, reads, use: In place of the step's.
        is_in_place: Its data stay where INPUT is, which only machines see that share its folder.
    """

    stages: tuple[str, ...]
    needs: str
    marks: tuple[str, ...] = ()
    scene_marks: tuple[str, ...] = ()
    advice: str = ""
    reads: type[StepOptions] | None = None
    is_in_place: bool = False
    use: str = ""

    def suits(self, scene: Path, given: str) -> bool:
        """Whether a step of a scene is this one; `given` is INPUT, or empty."""
        root, marks = (scene / given, self.marks) if given else (scene, self.scene_marks)
        return root.is_dir() and any(any(root.glob(mark)) for mark in marks)


@dataclass(frozen=True)
class Step:
    """One verb of a pipeline.

    Attributes:
        options: What it may be told.
        stages: Modules in order, each a stage of the module's name (`stages/declaring.py`):
            `.room.name` in `recon/stages/`, or the whole name of one of another package.
        work: The amount of work, from the options and the images; what takes twice as long has
            about twice as much.
        smaller: The setting that makes it need less memory, e.g. `BLOCK_RES=64`.
        advice: A sentence about what to look at before the next step; `{scene}` in it is replaced
            by the scene's folder, `{which}` by what a command needs to mean this scene.
        afresh: The setting that has it begin anew where it would go on with what it has, e.g.
            `FRESH=1`; "" where it never does.
        needs: What has to be in the scene before it, a file or a folder with a slash at its end;
            made by the step before it, or for the first one by INPUT. `{pipeline}` in it is the
            pipeline's name.
        shows: What a person looks at after it, beside the results: a few words, and where it lies
            in the scene; `{pipeline}` and `{group}` are replaced.
        is_shared: All pipelines have this step; what one made of it counts for the others too.
        alternatives: What it does instead with other kinds of input.
        reads: The part of `options` that counts with its usual input; None: all of them.
        is_in_place: See `Alternative`.
        use: Of the last step, what to type with its result where that measures itself; `{scene}`,
            `{pipeline}` and `{group}` are replaced. Empty: `make evaluate` measures it.
    """

    options: type[StepOptions]
    stages: tuple[str, ...]
    work: Callable[[Mapping[str, Any], Images], float]
    smaller: str
    needs: str
    shows: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""
    afresh: str = ""
    is_shared: bool = False
    alternatives: tuple[Alternative, ...] = ()
    reads: type[StepOptions] | None = None
    is_in_place: bool = False
    use: str = ""

    def for_scene(self, scene: Path, given: str = "") -> Step:
        """The step as it is for a scene's kind of input; `given` is INPUT, or empty."""
        for one in self.alternatives:
            if one.suits(scene, given):
                return replace(
                    self, stages=one.stages, needs=one.needs, advice=one.advice, reads=one.reads,
                    is_in_place=one.is_in_place, use=one.use, alternatives=(),
                )  # fmt: skip
        return self

    @property
    def unread(self) -> frozenset[str]:
        """The settings of its options that mean nothing with this kind of input."""
        known = {option.setting for option in options_of(self.options)}
        read = {option.setting for option in options_of(self.reads or self.options)}
        return frozenset(known - read)

    @property
    def all_stages(self) -> tuple[str, ...]:
        """Its stages, and those of its alternatives."""
        others = (name for one in self.alternatives for name in one.stages)
        return tuple(dict.fromkeys((*self.stages, *others)))


@dataclass(frozen=True)
class Engine:
    """Whose program computes.

    Attributes:
        licence: Its licence's name, with whose it is.
        is_commercial: The licence lets people use it for money.
        reads: The settings of the pipeline's steps that it understands; None: all of them.
        steps: The verbs that it computes, the others are left to ours; None: all of them.
        collects: By verb, the stages of ours that run here when its job has ended well: they bring
            what it made under our names.
    """

    name: str
    licence: str
    is_commercial: bool
    reads: frozenset[str] | None = None
    steps: frozenset[str] | None = None
    collects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def computes(self, verb: str) -> bool:
        """Whether it is this engine's program that runs a step."""
        return self.steps is None or verb in self.steps

    @property
    def is_ours(self) -> bool:
        """Whether this project computes, and not an upstream program in its own image."""
        return self.name == NATIVE


OURS = Engine(NATIVE, "maquette: Apache-2.0", is_commercial=True)


@dataclass(frozen=True)
class Pipeline:
    """A method.

    Attributes:
        summary: One sentence for a person who chooses.
        steps: By verb, in the order in which they run.
        engines: Who can compute its steps; the first unless ENGINE says otherwise.
        definitions: The folder of its `flavors.yaml`, job definitions and `measured.yaml`; None:
            `jobs/<name>/`. What is not there is taken from `jobs/`.
        renderer: The module whose `open_renderer` shows views of what was made, so that they can
            be evaluated (`recon/evaluate/protocols.py`); "" where nothing does.
        is_for_nadir: It is for photos that look straight down: prepare says where a set is of
            another kind, and names it where another method is given such a set.
        smaller: By kind of result, the words of `extract` that make it smaller, with `{count}` of
            what fits, and `{limit}`.
    """

    name: str
    summary: str
    steps: Mapping[str, Step]
    engines: tuple[Engine, ...] = (OURS,)
    definitions: Path | None = None
    renderer: str = ""
    smaller: Mapping[str, str] = field(default_factory=dict)
    is_for_nadir: bool = False

    def settings(self) -> dict[str, dict[str, Option]]:
        """Every setting that some step understands: its option in each of these, by verb."""
        found: dict[str, dict[str, Option]] = {}
        for verb, step in self.steps.items():
            for option in options_of(step.options):
                found.setdefault(option.setting, {})[verb] = option
        return found

    def engine_for(self, verb: str, name: str) -> Engine:
        """Who computes a step where the engine of that name is chosen, which the pipeline has."""
        chosen = next(engine for engine in self.engines if engine.name == name)
        return chosen if chosen.computes(verb) else OURS

    def stages_of(
        self, verb: str, engine: Engine, scene: Path | None = None, given: str = ""
    ) -> tuple[str, ...]:
        """The stages of ours that a step runs with an engine, in a scene of one kind of input."""
        step = self.steps[verb] if scene is None else self.steps[verb].for_scene(scene, given)
        return step.stages if engine.is_ours else engine.collects.get(verb, ())

    def needs(self, step: str, scene: Path | None = None) -> str:
        """What has to be in the scene before a step: a path below it."""
        known = self.steps[step] if scene is None else self.steps[step].for_scene(scene)
        return known.needs.format(pipeline=self.name)

    def verb_for(self, step: str) -> str:
        """The step that makes what this one needs; "" for the first."""
        verbs = list(self.steps)
        return verbs[verbs.index(step) - 1] if verbs.index(step) else ""

    def verb_after(self, step: str) -> str:
        """The step that comes next; "" for the last."""
        verbs = [*self.steps, ""]
        return verbs[verbs.index(step) + 1]
