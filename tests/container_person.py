"""Somebody at a machine whose jobs run in containers, with data through a store."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from command_line import environment
from maquette.containers.daemon import connected, find_daemon
from maquette.scene import checkpoints
from maquette.storage.object_store import ObjectStore
from s3_server import KEYS, place_in

ALIAS = "TESTS"


@dataclass(frozen=True)
class Person:
    """A person with a folder, and a data store that containers reach too.

    Attributes:
        volume: The daemon's volume that their jobs work in.
    """

    base: Path
    bucket: ObjectStore
    volume: str
    image: str

    def run(
        self, *words: str, limit_s: float = 300, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Call `maquette` with the settings that every call here shares.

        Args:
            variables: Of the environment, beside the usual ones.
        """
        count = 1 if words[0] in ("all", "clean-containers") else 2
        shared = ["BACKEND=docker", "CARRY=store", "GPU=0", "MODEL=thing", f"DATASTORE={ALIAS}"]
        shared += [f"BUCKET_NAME={self.bucket.name}", "SYNC_MINUTES=0.05", f"IMAGE={self.image}"]
        return subprocess.run(
            [sys.executable, "-m", "maquette.cli.main", *words[:count], *shared, *words[count:]],
            cwd=self.base,
            env=environment(
                XDG_CONFIG_HOME=str(self.base / "config"),
                AWS_ACCESS_KEY_ID=KEYS.access_key,
                AWS_SECRET_ACCESS_KEY=KEYS.secret_key,
                **variables,
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )

    def document(self, step: str) -> dict:
        """The job document, brought up to date."""
        done = self.run("job", step)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def scene(self) -> Path:
        return self.base / "scenes" / "thing"


@contextmanager
def person_at(base: Path, endpoint: str, image: str) -> Iterator[Person]:
    """A person with a bucket of their own, of whom nothing stays on the daemon."""
    name = f"of-{random.randrange(1 << 32):08x}"
    stores = {ALIAS: {"endpoint": endpoint, "region": "us-east-1"}}
    file = base / "config" / "maquette" / "datastores.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(stores))
    person = Person(base, place_in(endpoint, "thing", name), f"maquette-{name}", image)
    try:
        yield person
    finally:
        machine_is_lost(person)
        remove_containers_on(base)


def newest(scene: Path) -> int:
    """The iteration of the checkpoint that the next run would continue."""
    choice = checkpoints.newest(scene / "runs" / "neuralangelo" / "experiments")
    assert choice is not None
    return checkpoints.iteration_of(choice.path.name) or 0


def machine_is_lost(person: Person) -> None:
    """Remove every container and the volume: what was not pushed is gone."""
    with connected(find_daemon()) as client:
        for container in client.containers.list(all=True, filters={"volume": person.volume}):
            container.remove(force=True)
        for volume in client.volumes.list(filters={"name": person.volume}):
            volume.remove(force=True)


def remove_containers_on(folder: Path) -> None:
    """Remove the containers of jobs that were submitted from below a folder."""
    with connected(find_daemon()) as client:
        for container in client.containers.list(
            all=True, ignore_removed=True, filters={"label": "maquette-logs"}
        ):
            if container.labels["maquette-logs"].startswith(f"{folder}/"):
                container.remove(force=True)
