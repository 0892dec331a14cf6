"""The agent's command line around a step: the same for every machine that is not this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from maquette.containers.variants import find_variant
from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec

OURS = "maquette-step"
KEEP_WORD = "--keep-on-fail-minutes"
SECRETS_FILE = "/workspace/.secrets.json"
_OF_STORE = ("endpoint", "region", "bucket", "prefix")


@dataclass(frozen=True)
class Limits:
    """When the agent pushes, when it stops the step, how long it keeps a failed job; 0 is never.

    Attributes:
        keep_on_fail: Minutes.
    """

    sync_minutes: float
    max_hours: float = 0.0
    max_cost: float = 0.0
    price_per_hour: float = 0.0
    keep_on_fail: float = 0.0


def has_agent(job: JobSpec) -> bool:
    """Whether the job's image is ours, so that the agent is in it."""
    return job.command[0] == OURS


def refuse_keeping(job: JobSpec) -> None:
    """Refuse KEEP_ON_FAIL for a job without an agent, which nobody would keep.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        "KEEP_ON_FAIL needs the agent of our images, which this image does not have",
        detail=f"image {job.spec['image']}",
        hint="leave KEEP_ON_FAIL out, or set it to 0 for this command",
    )


def agent_argv(
    job: JobSpec,
    command: list[str],
    scene: str,
    store: dict[str, Any] | None,
    limits: Limits,
    *,
    variant: str = "",
    secrets_file: str = "",
    kept: str = "",
    look: str = "",
    shard_folder: str = "",
    workers: int = 0,
    worker: int = 0,
) -> list[str]:
    """Wrap a step's command line in the agent's.

    Args:
        command: With every path as the machine there sees it.
        scene: The scene's folder there.
        store: endpoint, region, bucket, prefix and host_style; None: nothing is moved.
        variant: Of the image, for its demands on GPU and driver; empty: not known.
        secrets_file: Where its secrets will lie there; empty: in its environment.
        kept: Where data that could not be pushed lies, and how to fetch it.
        look: The command that gets a person into the job's machine.
        shard_folder: Where machines that do the step's shards keep what they read; empty: none do.
        workers: How many worker jobs share the step's shards.
        worker: The agent of that one is meant, which runs no step of its own; 0: the job's.
    """
    gpus = int(job.spec.get("resources", {}).get("gpu", 0))
    argv = ["python", "-m", "maquette.agent", "--job", job.id, "--step", job.step]
    argv += ["--group", job.group, "--scene", scene, "--gpus", str(gpus)]
    argv += ["--sync-minutes", _number(limits.sync_minutes)]
    argv += ["--secrets-file", secrets_file] if secrets_file else []
    argv += ["--kept-where", kept] if kept else []
    argv += ["--shard-folder", shard_folder] if shard_folder else []
    argv += ["--workers", str(workers)] if workers else []
    argv += ["--worker", str(worker)] if worker else []
    for name in ("max_hours", "max_cost", "price_per_hour"):
        if value := getattr(limits, name):
            argv += [f"--{name.replace('_', '-')}", _number(value)]
    if limits.keep_on_fail:
        argv += [KEEP_WORD, _number(limits.keep_on_fail), "--look-with", look]
    if variant and gpus:
        facts = find_variant(variant)
        argv += ["--capabilities", ",".join(facts.capabilities)]
        argv += ["--oldest-driver", facts.oldest_driver]
    if store is not None:
        for name in _OF_STORE:
            argv += [f"--store-{name}", store[name]]
        argv += ["--store-host-style"] if store["host_style"] else []
    return [*argv, "--", *command]


def store_in_command(command: Iterable[str]) -> dict[str, Any] | None:
    """The store that an agent's command line names, but for its alias; None: it names none."""
    words = list(command)
    values = dict(pairwise(words))
    if "maquette.agent" not in words or "--store-bucket" not in values:
        return None
    store: dict[str, Any] = {name: values.get(f"--store-{name}", "") for name in _OF_STORE}
    return {**store, "host_style": "--store-host-style" in words}


def limit_in_command(command: Iterable[str]) -> float | None:
    """Hours after which an agent's command line ends the step; None: it may go on for ever."""
    words = list(command)
    values = dict(pairwise(words[: words.index("--")] if "--" in words else words))
    hours, cost, price = (
        float(values.get(f"--{name}", 0)) for name in ("max-hours", "max-cost", "price-per-hour")
    )
    limits = ([hours] if hours else []) + ([cost / price] if cost and price else [])
    return min(limits, default=None)


def _number(value: float) -> str:
    return f"{value:g}"
