"""The emulator of OVHcloud AI Training beside a real S3 server, fast, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from maquette.config.settings import Settings
from maquette.emulator.app import ApiOptions
from maquette.emulator.clock import Clock
from maquette.emulator.objects import Access
from maquette.emulator.process_runtime import ProcessRuntime
from maquette.emulator.runtimes import Runtime
from maquette.emulator.server import Options, RunningEmulator, serving
from maquette.storage.embedded import Running as Store
from s3_server import KEYS

FAST = Clock(second_s=0.01, phase_s=2.0, grace_s=2000.0)


@dataclass
class Emulated:
    """A running emulator."""

    running: RunningEmulator
    store: Store

    def settings(self, folder: Path, **more: Any) -> Settings:
        """Settings of jobs there, with a bucket of the folder's own."""
        bucket = f"b-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
        given = {"backend": "ovh", "ovh_url": self.running.url, "base_dir": folder}
        return Settings(**{**given, "bucket_name": bucket, **more})

    def fault(self, kind: str, **facts: Any) -> str:
        """Let something go wrong; returns the fault's id."""
        answer = httpx.post(f"{self.running.url}/emulator/faults", json={"kind": kind, **facts})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def clear(self) -> None:
        """Forget all faults."""
        httpx.delete(f"{self.running.url}/emulator/faults").raise_for_status()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A plain request with the operator's token."""
        headers = {"Authorization": f"Bearer {self.running.token}"}
        return httpx.request(method, self.running.url + path, headers=headers, **options)

    def jobs(self, **params: Any) -> list[dict[str, Any]]:
        """Every job there is."""
        return list(self.ask("GET", "/v1/job", params={"size": 500, **params}).json()["items"])


@contextmanager
def emulator(
    folder: Path,
    store: Store,
    *,
    runtime: Runtime | None = None,
    api: ApiOptions | None = None,
    clock: Clock = FAST,
    port: int = 0,
    quota: dict[str, int] | None = None,
) -> Iterator[Emulated]:
    """Serve on the loopback address until the block ends."""

    @contextmanager
    def stores(alias: str) -> Iterator[Access]:
        yield Access(store.location.endpoint, "us-east-1", KEYS.access_key, KEYS.secret_key)

    options = Options(
        folder,
        runtime or ProcessRuntime(),
        stores,
        port=port,
        clock=clock,
        api=api or ApiOptions(),
        quota=quota or {"CPU": 400, "GPU": 40},
    )
    with serving(options) as running:
        yield Emulated(running, store)
