"""What a stage is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from maquette.pipelines.options import StepOptions
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


@dataclass(frozen=True)
class Report:
    """What a stage gives back.

    Attributes:
        outputs: What the stage made, below the scene; their presence is part of being done.
        mutable: Outputs that later stages change: only their presence counts, not their size.
        kinds: Of those outputs that are results for a person: each path's kind (`mesh`, `picture`,
            …), of which `results/<pipeline>/outputs.json` tells.
        numbers: Counts and quality numbers for the table and `report.json`.
        remarks: Sentences that the person should read.
    """

    outputs: Sequence[Path]
    mutable: Sequence[Path] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    kinds: Mapping[Path, str] = field(default_factory=dict)


RunStage = Callable[[Scene, Any, Progress], Report]
Bring = Callable[[Scene, Any, Progress], None]
Split = Callable[[Scene, Any], Sequence[Any]]
RunShard = Callable[[Scene, Any, Any, Progress], Sequence[Path]]
ListInputs = Callable[[Scene, Any], Iterable[Path]]
Check = Callable[[Scene, Any], None]
OwnOptions = Callable[[Any], StepOptions]
Applies = Callable[[Scene, Any], bool]
ListShardInputs = Callable[[Scene, Any, Sequence[Any]], Sequence[Iterable[Path]]]


@dataclass(frozen=True)
class Needs:
    """What a machine must have for one shard.

    Attributes:
        gpus: How many GPUs.
        memory_bytes: The most that it holds; 0: not known.
    """

    gpus: int = 0
    memory_bytes: int = 0


def _size(item: Any) -> float:
    return float(len(item)) if isinstance(item, list) else 1.0


@dataclass(frozen=True)
class Sharding:
    """The work of a stage that falls into parts, which can run apart and be done again alone.

    Attributes:
        split: What there is to do, as one JSON value a shard; the same each time. It and `run`
            are functions of the stage's own module.
        run: Does one of these and returns all files that it made and that are read later, which
            no other shard writes.
        merge: Makes the stage's result of what all of them made.
        cost: How much work an item is beside others, in a unit of the stage's own.
        needs: What a machine must have for any of them.
        inputs: The files that `run` reads for each of some items, in their order; those that are
            not there do not count. All that a machine gets that shares no folder; None: the scene.
    """

    split: Split
    run: RunShard
    merge: RunStage
    cost: Callable[[Any], float] = _size
    needs: Callable[[Any], Needs] = lambda options: Needs()
    inputs: ListShardInputs | None = None


@dataclass(frozen=True)
class Stage:
    """A resumable unit of work.

    Attributes:
        name: Also the name of its record.
        version: Raised when the stage's code would give another result for the same input.
        run: Does the work, whole or in shards; writes outputs atomically.
        parameters: Names of the options that change the result.
        reads: Names of the options that it reads besides, and that do not. It can read no others.
        added: Such options that came later: at their default they leave the key as it was.
        after: Stages of this or an earlier step whose results it reads.
        uses: Stages whose files it reads besides; those of `after` stand for them in its key.
        facts: What it reads of `maquette.scene.facts`.
        files: Files it reads that no stage makes: hashed by content, named by their place below
            the scene.
        bring: Fetches those files first, when they are not in the scene yet.
        check: Refuses, before any stage of the step runs, what this one would refuse much later;
            it looks at options, and at files that a person names by them.
        own_options: Makes the options that it reads from the step's, where it is another step's
            stage in the first place.
        applies: Whether a step with these options, all of them, has it at all in this scene.
        can_fail: What it makes helps those that follow, which do without where the data do not
            yield it.
        keeps_shards: What stands in its records' folder still counts when it is done; otherwise it
            only served to go on after a kill, and goes.
        intermediate: How the paths of those outputs begin, below the scene, that only serve other
            stages, and come out the same when it runs again: PRUNE=1 may drop them.
    """

    name: str
    version: int
    run: RunStage | Sharding
    parameters: Sequence[str] = ()
    after: Sequence[str] = ()
    files: ListInputs = lambda scene, options: ()
    packages: Sequence[str] = ()
    bring: Bring | None = None
    reads: Sequence[str] = ()
    facts: Sequence[str] = ()
    added: Sequence[str] = ()
    keeps_shards: bool = True
    uses: Sequence[str] = ()
    intermediate: Sequence[str] = ()
    check: Check = lambda scene, options: None
    own_options: OwnOptions = lambda options: options
    applies: Applies = lambda scene, options: True
    can_fail: bool = False

    @property
    def declared(self) -> tuple[str, ...]:
        """The names of all options that it can read."""
        return (*self.parameters, *self.added, *self.reads)

    def keyed(self, options: StepOptions) -> dict[str, Any]:
        """The options that count in its key, with their values."""
        options = self.own_options(options)
        defaults = {field.name: field.default for field in fields(options)}
        changed = [name for name in self.added if getattr(options, name) != defaults[name]]
        return {name: getattr(options, name) for name in (*self.parameters, *changed)}


class DeclaredOptions:
    """The options that a stage declares; it can read nothing else, so its key forgets none."""

    def __init__(self, stage: Stage, options: StepOptions) -> None:
        self._stage, self._options = stage, stage.own_options(options)

    def declared(self) -> dict[str, Any]:
        """All of them, by name."""
        stage: Stage = self._stage
        return {name: getattr(self._options, name) for name in stage.declared}

    def __getattr__(self, name: str) -> Any:
        stage: Stage = self._stage
        if name not in stage.declared:
            raise AttributeError(
                f"stage {stage.name} reads the option `{name}`, which it does not declare"
            )
        return getattr(self._options, name)
