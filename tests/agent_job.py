"""The agent as a process of its own, beside a small step."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from maquette.scene.events import parse_log_line
from maquette.storage.object_store import ObjectStore
from s3_server import KEYS, content_of, pull

RUN = "runs/neuralangelo/experiments"
_PROGRAM = """
import sys
from maquette.agent import __main__, scene_sync, webhook
from maquette.storage import wire
scene_sync._RETRY_S = wire._LONGEST_PAUSE_S = 0.1
webhook._PAUSES_S = (0.0, 0.0, 0.1)
sys.exit(__main__.main())
"""


class Job:
    """An agent at work on a scene folder that is another machine's; it makes short pauses."""

    def __init__(
        self, folder: Path, bucket: ObjectStore | None, script: str, *words: str, **environment: str
    ) -> None:
        self.scene = folder / "there" / "thing"
        self.scene.parent.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        argv = [sys.executable, "-c", _PROGRAM, "--scene", str(self.scene)]
        argv += ["--step", "process", "--job", "process-1", "--store-patience-s", "2"]
        argv += ["--grace-s", "5", *words]
        if bucket is not None:
            argv += ["--store-endpoint", bucket.location.endpoint, "--store-bucket", bucket.name]
            argv += ["--store-prefix", bucket.prefix]
        keys = {"AWS_ACCESS_KEY_ID": KEYS.access_key, "AWS_SECRET_ACCESS_KEY": KEYS.secret_key}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--", "bash", "-c", script, "step", str(self.scene)],
                stdout=log, stderr=log, env={**os.environ, **keys, **environment},
            )  # fmt: skip

    def ended(self, limit_s: float = 270) -> int:
        return self.process.wait(limit_s)

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def error(self) -> dict:
        events = [parse_log_line(line) for line in self.text.splitlines()]
        return [event for event in events if event and event["event"] == "error"][-1]


def there(tmp_path: Path, bucket: ObjectStore) -> dict[str, bytes]:
    """What the store holds, seen by somebody else."""
    folder = tmp_path / f"seen-{time.monotonic_ns()}"
    pull(folder, bucket)
    return content_of(folder)
