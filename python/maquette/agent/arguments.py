"""The agent's arguments: a command line that any machine can run, and secrets beside it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maquette.errors import ConfigError
from maquette.pipelines import registry
from maquette.stages.heartbeat import INTERVAL_S, SILENCE_S
from maquette.storage import handover

KEY_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
NOTIFY_NAME = "MAQUETTE_NOTIFY_URL"
SECRET_NAMES = (*KEY_NAMES, NOTIFY_NAME, handover.VARIABLE)

# Exit codes beside those in `maquette.errors`; a step's own code is passed on.
RESUME_ME = 75  # the machine was taken away; work is saved, the same job continues it
UNSAVED = 76  # the step has ended, its data could not be pushed and lies on this machine
TIME_IS_UP = 124  # MAX_HOURS or MAX_COST was reached; work is saved

CONTAINER = "{container}"  # in `kept_where`: the id of the container that the agent runs in


@dataclass(frozen=True)
class Store:
    """Where the scene lies in S3; the keys are not part of it."""

    endpoint: str
    region: str
    bucket: str
    prefix: str
    host_style: bool = False


@dataclass(frozen=True)
class Arguments:
    """Everything that one job of the agent depends on.

    Attributes:
        store: None when the scene's folder is already the person's own.
        capabilities: Compute capabilities that the image has code for; empty: not known.
        store_patience_s: How long an unreachable store is retried, at the start and at the end.
        kept_where: A sentence: where data that could not be pushed lies, and how to fetch it;
            CONTAINER in it is replaced.
        keep_on_fail_minutes: How long a failed job stays for a person to look at; 0: not.
        look_with: The command that gets a person into this machine.
        secrets: By the names in `SECRET_NAMES`; never shown, never passed on to the step.
        handed_over: The secrets lie in the bucket, to be removed there.
        shard_folder: Where machines that share none with this one keep what the step's shards
            read; empty: none do any. The step gets the keys for them.
        workers: How many worker jobs share the step's shards.
        worker: This is one of them, from 1; 0: it is the job itself.
        beat_s: Between two signs of life of a job and its workers.
        silence_s: One that gives none for so long is lost.
    """

    command: tuple[str, ...]
    scene: Path
    step: str
    job: str
    group: str = ""
    store: Store | None = None
    gpus: int = 0
    capabilities: tuple[str, ...] = ()
    oldest_driver: str = ""
    least_disk_gb: float = 2.0
    least_memory_gb: float = 2.0
    max_hours: float = 0.0
    max_cost: float = 0.0
    price_per_hour: float = 0.0
    sync_minutes: float = 5.0
    grace_s: float = 60.0
    store_patience_s: float = 600.0
    kept_where: str = ""
    keep_on_fail_minutes: float = 0.0
    look_with: str = ""
    secrets: Mapping[str, str] | None = None
    handed_over: bool = False
    shard_folder: str = ""
    workers: int = 0
    worker: int = 0
    beat_s: float = INTERVAL_S
    silence_s: float = SILENCE_S

    @property
    def limit_s(self) -> float | None:
        """Seconds that the step may run, by time and by money; None without a limit."""
        limits = []
        if self.max_hours:
            limits.append(self.max_hours * 3600)
        if self.max_cost:
            limits.append(self.max_cost / self.price_per_hour * 3600)
        return min(limits, default=None)

    def secret(self, name: str) -> str:
        """A secret, "" when it was not given."""
        return (self.secrets or {}).get(name, "")


def worker_id(job: str, number: int) -> str:
    """The name under which a worker job's secrets are left."""
    return f"{job}-{number}"


def parse(argv: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Parse the command line, and read secrets from their file or the environment.

    Raises:
        ConfigError: the parts do not fit together.
        CredentialsError: secrets that were left in the bucket can not be fetched any more.
        JobFailed: the store that they lie in does not answer.
    """
    given = vars(_parser().parse_args(argv))
    file, command = given.pop("secrets_file"), given.pop("command")
    store = {name: given.pop(f"store_{name}") for name in ("endpoint", "region", "bucket")}
    prefix, host_style = given.pop("store_prefix"), given.pop("store_host_style")
    if given["max_cost"] and not given["price_per_hour"]:
        raise ConfigError("MAX_COST needs to know the machine's price", hint="set PRICE_PER_HOUR=")
    return Arguments(
        command=tuple(command[1:] if command[:1] == ["--"] else command),
        store=Store(**store, prefix=prefix, host_style=host_style) if store["bucket"] else None,
        secrets=_secrets(file, environment),
        handed_over=bool(environment.get(handover.VARIABLE)),
        **{**given, "capabilities": tuple(filter(None, given["capabilities"].split(",")))},
    )


def needs_less(command: Sequence[str]) -> str:
    """The setting with which a step of ours needs less memory, and "or"; "" where nobody knows."""
    pipeline, verb = _pipeline_and_verb(command)
    if pipeline not in registry.names():
        return ""
    step = registry.get_pipeline(pipeline).steps.get(verb)
    return f"{step.smaller}, or " if step else ""


def same_again(arguments: Arguments) -> str:
    """The make command that goes on with the job."""
    return f"make {arguments.step} {names_of_job(arguments)}"


def names_of_job(arguments: Arguments) -> str:
    """What a command about the job's step needs, so that it means this scene and method."""
    pipeline, _ = _pipeline_and_verb(arguments.command)
    return registry.naming(
        pipeline or registry.DEFAULT, arguments.step, arguments.scene.name, arguments.group
    )


def _pipeline_and_verb(command: Sequence[str]) -> tuple[str, str]:
    """What a step of ours is called with; empty for another program."""
    if len(command) < 3 or not command[0].endswith("maquette-step"):
        return "", ""
    return command[1], command[2]


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for the step."""
    return {name: text for name, text in environment.items() if name not in SECRET_NAMES}


def _secrets(file: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    found = {name: environment[name] for name in SECRET_NAMES if environment.get(name)}
    if line := found.pop(handover.VARIABLE, ""):
        found |= handover.fetch(line)
    if file is None:
        return found
    try:
        return found | json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the file of secrets can not be read: `{file}`") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m maquette.agent", description=__doc__)
    add = parser.add_argument
    add("--scene", type=Path, required=True, help="the scene's folder on this machine")
    add("--step", required=True, help="prepare, process or extract")
    add("--job", default=os.environ.get("HOSTNAME", "job"), help="the job's id")
    add("--group", default="", help="of its runs, as GROUP names it")
    add("--secrets-file", type=Path, help=f"JSON object with {', '.join(SECRET_NAMES)}; "
        "without it these come from the environment")  # fmt: skip
    add("--store-endpoint", default="", help="https://… of the S3 store")
    add("--store-region", default="us-east-1")
    add("--store-bucket", default="", help="empty: nothing is pulled or pushed")
    add("--store-prefix", default="", help="the scene's place in the bucket")
    add("--store-host-style", action="store_true", help="buckets are host names")
    add("--store-patience-s", type=float, default=Arguments.store_patience_s)
    add("--gpus", type=int, default=0, help="how many GPUs there must be")
    add("--capabilities", default="", help="what the image has code for, e.g. 7.5,8.0")
    add("--oldest-driver", default="", help="the first NVIDIA driver that will do")
    add("--least-disk-gb", type=float, default=Arguments.least_disk_gb)
    add("--least-memory-gb", type=float, default=Arguments.least_memory_gb)
    add("--max-hours", type=float, default=0.0, help="stop the step after this time; 0: never")
    add("--max-cost", type=float, default=0.0, help="stop it when it has cost this; 0: never")
    add("--price-per-hour", type=float, default=0.0, help="of this machine")
    add("--sync-minutes", type=float, default=Arguments.sync_minutes, help="between two pushes")
    add(
        "--grace-s", type=float, default=Arguments.grace_s, help="for the step to save when stopped"
    )
    add("--kept-where", default="", help="what to tell of data that could not be pushed")
    add("--keep-on-fail-minutes", type=float, default=0.0, help="for a look at a failed job")
    add("--shard-folder", default="", help="of machines that do the step's shards by the store")
    add("--workers", type=int, default=0, help="worker jobs that share the step's shards")
    add("--worker", type=int, default=0, help="be that one of them, and run no step")
    add("--beat-s", type=float, default=INTERVAL_S, help="between two signs of life")
    add("--silence-s", type=float, default=SILENCE_S, help="who gives none so long is lost")
    add("--look-with", default="", help="the command that gets a person into this machine")
    add("command", nargs=argparse.REMAINDER, help="-- and the step's own command line")
    return parser
