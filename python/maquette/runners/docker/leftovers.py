"""What ended jobs leave on a daemon: containers, and volumes with copies of scenes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from docker.errors import APIError
from docker.errors import NotFound as Gone
from docker.models.containers import Container

from maquette.agent.arguments import UNSAVED
from maquette.config.settings import Settings
from maquette.containers.daemon import Daemon, connected, find_daemon
from maquette.jobs.ledger import StepLedger
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.registry import naming
from maquette.runners import tracking
from maquette.runners.docker import spec
from maquette.runners.docker.options import DockerOptions

_OF_STEP = ("maquette-model", "maquette-group", "maquette-owner", "maquette-step")
_HAS_ENDED = ("exited", "dead")
_NEVER_BEGAN = "created"
_KILLED = 128  # and the signal's number


@dataclass(frozen=True)
class Leftover:
    """An ended job's container.

    Attributes:
        volume: The daemon's volume with its scene; empty where the scene was mounted.
        is_pushed: Whether nothing in the volume is only there.
    """

    container: str
    name: str
    model: str
    group: str
    owner: str
    step: str
    exit_code: int
    volume: str
    is_pushed: bool

    @property
    def names(self) -> str:
        """What a command needs so that it means the scene and pipeline of its job."""
        return naming(self.owner, self.step, self.model, self.group)

    def to_json(self) -> dict[str, Any]:
        """The facts for programs."""
        return asdict(self)


def find_leftovers(settings: Settings) -> list[Leftover]:
    """The ended containers of jobs that were submitted from this machine and this folder."""
    labels = spec.origin_labels(settings.logs_dir)
    with connected(find_daemon(settings.of(DockerOptions).docker_host)) as client:
        found = client.containers.list(
            all=True,
            ignore_removed=True,
            filters={
                "label": [f"{name}={text}" for name, text in labels.items()],
                "status": list(_HAS_ENDED),
            },
        )
    return [_leftover(container) for container in found]


def remove(settings: Settings, leftovers: Iterable[Leftover]) -> list[str]:
    """Remove containers, and the volumes that no other container has.

    How each job ended is written into its document before.

    Returns:
        The names of what was removed.
    """
    chosen = list(leftovers)
    for leftover in chosen:
        names = (leftover.group, leftover.model, leftover.owner, leftover.step)
        ledger = StepLedger(settings.logs_dir, *names)
        if ledger.path.exists():
            tracking.refresh(ledger)
    removed = []
    with connected(find_daemon(settings.of(DockerOptions).docker_host)) as client:
        for leftover in chosen:
            with contextlib.suppress(Gone):
                client.containers.get(leftover.container).remove()
                removed.append(leftover.name)
        for volume in sorted({item.volume for item in chosen if item.volume}):
            with contextlib.suppress(Gone):
                if not _is_used(client, volume):
                    client.volumes.get(volume).remove()
                    removed.append(volume)
    return removed


def removal_command(daemon: Daemon, leftover: Leftover) -> str:
    """The command that removes what is not pushed."""
    docker = daemon.command
    return f"{docker} rm {leftover.name} && {docker} volume rm {leftover.volume}"


def remove_earlier(client: Any, request: dict[str, Any], newest: str) -> None:
    """Remove the step's containers before the `newest`; one a step is kept of one folder's jobs.

    One whose work was not pushed goes when its volume is the new one's too: the work goes on.
    """
    names = (*_OF_STEP, *spec.ORIGIN_LABELS)
    if not set(names) <= set(request["labels"]):
        return
    volumes = [mount["source"] for mount in request["mounts"] if mount["type"] == "volume"]
    labels = [f"{name}={request['labels'][name]}" for name in names]
    for status in (*_HAS_ENDED, _NEVER_BEGAN):
        for old in client.containers.list(all=True, filters={"label": labels, "status": status}):
            is_kept = old.attrs["State"]["ExitCode"] == UNSAVED and _volume(old) not in volumes
            if old.id != newest and not is_kept:
                with contextlib.suppress(APIError):
                    old.remove()


def _leftover(container: Container) -> Leftover:
    labels = container.labels
    code, volume = int(container.attrs["State"]["ExitCode"]), _volume(container)
    return Leftover(
        container=str(container.id),
        name=str(container.name),
        model=labels.get("maquette-model", ""),
        group=labels.get("maquette-group", ""),
        owner=labels.get("maquette-owner", COMMON),
        step=labels.get("maquette-step", ""),
        exit_code=code,
        volume=volume,
        is_pushed=not volume or (code != UNSAVED and code <= _KILLED),
    )


def _volume(container: Container) -> str:
    """The volume that the job's scene lies in."""
    return next(
        (str(mount["Name"]) for mount in container.attrs["Mounts"] if mount["Type"] == "volume"), ""
    )


def _is_used(client: Any, volume: str) -> bool:
    return bool(client.containers.list(all=True, filters={"volume": volume}))
