"""Scenes and faults that the storage tests share, and a program that moves a scene."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from command_line import environment
from fault_proxy import Fault, proxy_to
from maquette.errors import CredentialsError
from maquette.storage import etags
from maquette.storage.object_store import ObjectStore
from s3_server import place_in, pull

BIG = "runs/neuralangelo/experiments/big.pt"
_HERE = Path(__file__).parent
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from maquette.storage import etags
from s3_server import place_in, pull, push
etags.PART_BYTES = int(sys.argv[6])
move = {"push": push, "pull": pull}[sys.argv[2]]
move(Path(sys.argv[3]), place_in(sys.argv[4], sys.argv[5]))
"""


def files(seed: int, count: int, size: int) -> dict[str, bytes]:
    choose = random.Random(seed)
    return {f"images/{number:04}.jpg": choose.randbytes(size) for number in range(count)}


def large(seed: int) -> dict[str, bytes]:
    """A file of four parts."""
    return {
        "runs/neuralangelo/experiments/big.pt": random.Random(seed).randbytes(
            3 * etags.PART_BYTES + 777
        )
    }


def sometimes(seed: int, share: float, fault: Fault) -> Callable[[str, str], Fault | None]:
    choose, guard = random.Random(seed), threading.Lock()

    def judge(method: str, path: str) -> Fault | None:
        with guard:
            return fault if choose.random() < share else None

    return judge


def interrupt_download(root: Path, bucket: ObjectStore) -> int:
    """Refuse every part of the large file after the second; returns how many had come."""
    came: list[str] = []

    def judge(method: str, path: str) -> Fault | None:
        if method == "GET" and BIG in path:
            came.append(path)
            return Fault(403, "AccessDenied") if len(came) > 2 else None
        return None

    with proxy_to(bucket.location.endpoint, judge) as proxy, pytest.raises(CredentialsError):
        pull(root, place_in(proxy.endpoint, bucket.prefix))
    (record,) = (root / ".maquette/incoming").glob("*.parts")
    return len(record.read_text().split("\n")) - 1


def moving(
    move: str,
    root: Path,
    bucket: ObjectStore,
    before: str = "",
    after: str = "",
    within: Sequence[str] = (),
    **variables: str,
) -> subprocess.Popen[str]:
    """Start a push or pull in a process of its own.

    Args:
        before, after: Lines of Python to run around it.
        within: A command that runs the process.
    """
    words = [move, str(root), bucket.location.endpoint, bucket.prefix, str(etags.PART_BYTES)]
    return subprocess.Popen(
        [*within, sys.executable, "-c", before + _PROGRAM + after, str(_HERE), *words],
        env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
