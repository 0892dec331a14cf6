"""Shards as tasks of the Ray cluster that this process belongs to.

A task runs the shard's command as a process of the machine that Ray chose for it. A machine that is
lost costs the shards that ran there: Ray retries nothing here, `maquette.stages.commands` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from maquette.agent.shard_store import StoreLauncher, shard_store
from maquette.errors import ConfigError
from maquette.runners.ray import tasks
from maquette.scene.paths import Scene
from maquette.stages.commands import Launcher, ShardCommand, ShardEnd


@dataclass
class RayLauncher:
    """Starts shards as tasks.

    Attributes:
        keys: Of the store by which a shard's files go; None: its machine sees the scene.
        running: The tasks that run, by their references.
    """

    keys: dict[str, str] | None = None
    running: dict[Any, ShardCommand] = field(default_factory=dict)

    def start(self, commands: Sequence[ShardCommand]) -> None:
        """Hand the commands to Ray, which runs each as soon as a machine has room.

        Raises:
            ConfigError: no machine of the cluster has the GPUs that a shard needs.
        """
        for command in commands:
            _check_gpus(command)
            needs: dict[str, Any] = {"num_gpus": command.needs.gpus}
            if command.needs.memory_bytes:
                needs["memory"] = command.needs.memory_bytes
            told = str(command.log) if self.keys is None else self.keys
            run = tasks.run if self.keys is None else tasks.run_by_store
            task = ray.remote(num_cpus=1, max_retries=0)(run)
            reference = task.options(name=command.name, **needs).remote(list(command.argv), told)
            self.running[reference] = command

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        """The shards that ended since the last call."""
        if not self.running:
            return []
        ended, _ = ray.wait(list(self.running), num_returns=1, timeout=limit_s)
        return [self._end(reference) for reference in ended]

    def give_up(self, name: str) -> None:
        """Forget a shard, and have Ray end it if it can."""
        for reference, command in list(self.running.items()):
            if command.name == name:
                del self.running[reference]
                _cancel(reference)

    def close(self) -> None:
        """End all tasks, and leave the cluster."""
        for reference in self.running:
            _cancel(reference)
        self.running.clear()
        ray.shutdown()

    def _end(self, reference: Any) -> ShardEnd:
        command = self.running.pop(reference)
        try:
            code, where, lines = ray.get(reference)
        except RayError:  # its machine was lost, or its worker was killed
            return ShardEnd(command.name, None)
        return ShardEnd(command.name, code, where, tuple(lines))


def open_launcher(scene: Scene) -> Launcher:
    """Join the cluster whose job this process is."""
    place = shard_store()
    ray.cloudpickle.register_pickle_by_value(tasks)  # a machine may lack maquette, and says so
    ray.init(address="auto", log_to_driver=False, logging_level="WARNING")
    return StoreLauncher(RayLauncher(place.keys), scene, place) if place else RayLauncher()


def _check_gpus(command: ShardCommand) -> None:
    wanted = command.needs.gpus
    most = max(
        (node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]), default=0
    )
    if wanted > most:
        raise ConfigError(
            f"shard {command.name} needs {wanted} GPU, no machine of the cluster has one",
            hint="add machines with GPUs, or GPU=0: the processors do the work",
        )


def _cancel(reference: Any) -> None:
    ray.cancel(reference, force=True)
