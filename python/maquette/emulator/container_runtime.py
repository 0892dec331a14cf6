"""Jobs as containers, as 42420:42420, on the Docker daemon of this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest

from maquette.containers.daemon import connected, find_daemon
from maquette.emulator.runtimes import LOST, RuntimeUnavailable, StartError, Task
from maquette.errors import ConfigError

USER_ID = 42420


@dataclass(frozen=True)
class ContainerOptions:
    """How containers are made, where the service does not document it.

    Attributes:
        keeps_entrypoint: An image's ENTRYPOINT stays in front of the command.
        has_init: Process 1 is an init that reaps and passes signals on; else it is the command.
    """

    keeps_entrypoint: bool = True
    has_init: bool = False


class ContainerRuntime:
    """Runs tasks as containers.

    Raises:
        ConfigError: the daemon is on another machine.
        MaquetteError: it does not answer.
    """

    name = "containers"
    poll_s = 0.2

    def __init__(self, options: ContainerOptions | None = None) -> None:
        self._options = options or ContainerOptions()
        self._daemon = find_daemon(os.environ.get("DOCKER_HOST", ""))
        if not self._daemon.shares_files:
            raise ConfigError(
                "the emulator's containers need a Docker daemon on this machine: "
                f"`{self._daemon.host}`",
                hint="`--runtime process` needs none",
            )
        with connected(self._daemon) as client:
            client.ping()
        self._client = docker.DockerClient(base_url=self._daemon.host)

    def start(self, task: Task) -> None:
        """Create and start the container, or start one that was only created.

        Raises:
            StartError: the image can not be had, or no container can be made or started of it.
        """
        container = self._container(task) or self._created(task)
        if container.status != "created":
            return
        try:
            container.start()
        except APIError as error:
            with contextlib.suppress(DockerException):
                container.remove(force=True)
            raise StartError("JOB_CREATE_CONTAINER_ERROR", _message(error)) from None

    def exit_code(self, task: Task) -> int | None:
        """Ask the daemon; a container that is gone was killed."""
        container = self._container(task)
        if container is None:
            return LOST
        state = container.attrs["State"]
        return int(state["ExitCode"]) if state["Status"] in ("exited", "dead") else None

    def stop(self, task: Task, *, kill: bool) -> None:
        """Signal the container's first process."""
        container = self._container(task)
        if container is not None:
            with contextlib.suppress(APIError):  # it has ended meanwhile
                container.kill("KILL" if kill else "TERM")

    def log(self, task: Task) -> bytes:
        """The container's output, or the copy that was kept of it."""
        container = self._container(task)
        if container is not None and container.status != "created":
            try:
                return bytes(container.logs())
            except APIError as error:
                if error.status_code not in (404, 409):  # else it is being removed: it was kept
                    raise
        kept = task.run / "log"
        return kept.read_bytes() if kept.exists() else b""

    def remove(self, task: Task) -> None:
        """Keep its log and remove the container."""
        container = self._container(task)
        if container is not None:
            task.run.mkdir(parents=True, exist_ok=True)
            (task.run / "log").write_bytes(self.log(task))
            with contextlib.suppress(NotFound):
                container.remove(force=True)

    def share(self, task: Task, folder: Path) -> None:
        """Root gives the volume to the job's user; anybody else opens it to everybody.

        What the job's user made can only be opened by root, which is found in a container.
        """
        if os.geteuid() == 0:
            for path in _tree(folder):
                with contextlib.suppress(FileNotFoundError):
                    os.chown(path, USER_ID, USER_ID, follow_symlinks=False)
            return
        is_foreign = False
        for path in _tree(folder):
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_uid != os.geteuid():
                    is_foreign = True
                elif not path.is_symlink():
                    path.chmod(0o777 if path.is_dir() else 0o666 | path.stat().st_mode)
        if is_foreign:
            self._client.containers.run(
                self._image(task.image), ["-R", "a+rwX", "/volume"], entrypoint="chmod",
                user="0:0", remove=True, network_mode="none",
                volumes={str(folder): {"bind": "/volume", "mode": "rw"}},
            )  # fmt: skip

    def _created(self, task: Task) -> Any:
        image = self._image(task.image)
        for folder, _ in task.mounts.values():
            self.share(task, folder)
        options: dict[str, Any] = {} if self._options.keeps_entrypoint else {"entrypoint": ""}
        if task.gpus and "nvidia" in self._client.info().get("Runtimes", {}):
            gpus = DeviceRequest(count=task.gpus, capabilities=[["gpu"]])
            options["device_requests"] = [gpus]
        try:
            return self._client.containers.create(
                image,
                task.command or None,
                name=_name(task),
                user=f"{USER_ID}:{USER_ID}",
                init=self._options.has_init,
                environment=task.environment,
                volumes={
                    str(folder): {"bind": mount, "mode": "rw" if writable else "ro"}
                    for mount, (folder, writable) in task.mounts.items()
                },
                labels={"maquette-emulator": task.id},
                **options,
            )
        except APIError as error:
            raise StartError("JOB_CREATE_CONTAINER_CONFIG_ERROR", _message(error)) from None

    def _container(self, task: Task) -> Any:
        try:
            return self._client.containers.get(_name(task))
        except NotFound:
            return None
        except requests.RequestException as error:
            raise RuntimeUnavailable(f"no answer from {self._daemon.host}: {error}") from None

    def _image(self, name: str) -> Any:
        try:
            return self._client.images.get(name)
        except ImageNotFound:
            pass
        except APIError as error:
            raise StartError("JOB_INVALID_IMAGE_NAME", _message(error)) from None
        try:
            return self._client.images.pull(name)
        except (APIError, requests.RequestException) as error:
            raise StartError("JOB_IMAGE_PULL", f"Error image pull: {_message(error)}") from None


def _tree(folder: Path) -> Iterator[Path]:
    """A folder and all below it, while others may remove parts of it."""
    yield folder
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *files))


def _name(task: Task) -> str:
    return f"maquette-emulator-{task.id}"


def _message(error: Exception) -> str:
    return str(getattr(error, "explanation", "") or error)[:500]
