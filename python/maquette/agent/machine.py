"""The machine: whether it can do the job, and the disk space that is reserved for its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.agent.arguments import Arguments
from maquette.errors import JobFailed
from maquette.scene.paths import OWN_FOLDER

_QUERY = "name,driver_version,compute_cap,memory.total"
_QUERY_LIMIT_S = 8
GB = 1_000_000_000
_UNLIMITED = 1 << 60
_RESERVE_BYTES = 16 << 20  # checksums, pins and the index of a large scene fit
_FULL_BYTES = 1 << 20
# Both versions of control groups count here how many of our processes were killed for memory.
_KILLS = tuple(
    Path("/sys/fs/cgroup", name) for name in ("memory.events", "memory/memory.oom_control")
)


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver reports it: driver as "580.65.06", capability as "9.0"."""

    name: str
    driver: str
    capability: str
    memory_mib: int


def check(arguments: Arguments) -> dict[str, Any]:
    """Look at GPUs, driver, disk and memory.

    Returns:
        The facts, for the final report.

    Raises:
        JobFailed: what the job needs is not here; says what, and what would help.
    """
    gpus = find_gpus() if arguments.gpus else []
    _check_gpus(arguments, gpus)
    free_gb = shutil.disk_usage(_existing(arguments.scene)).free / GB
    memory_gb = memory_bytes() / GB
    if free_gb < arguments.least_disk_gb:
        raise JobFailed(
            f"the machine's disk is too full: {free_gb:.1f} GB free at `{arguments.scene}`",
            detail=f"{arguments.step} needs at least {arguments.least_disk_gb:g} GB",
            hint="free space there, or take a machine with a larger disk",
        )
    if memory_gb < arguments.least_memory_gb:
        raise JobFailed(
            f"the machine has too little memory: {memory_gb:.1f} GB",
            detail=f"{arguments.step} needs at least {arguments.least_memory_gb:g} GB",
            hint="take a larger machine, or raise the container's memory limit",
        )
    return {
        "gpus": [vars(gpu) for gpu in gpus],
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free_gb": round(free_gb, 1),
        "memory_gb": round(memory_gb, 1),
    }


def find_gpus() -> list[Gpu]:
    """Ask NVIDIA's driver; an empty list when there is none.

    Raises:
        JobFailed: the driver does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_QUERY_LIMIT_S,
        ).stdout
    except (subprocess.SubprocessError, OSError) as error:
        output = getattr(error, "stdout", "") or type(error).__name__
        raise JobFailed(
            "the NVIDIA driver does not answer",
            detail=str(output).strip()[:300],
            hint="run `nvidia-smi` on the machine; a reboot often helps",
        ) from error
    return [_gpu(line) for line in answer.splitlines() if line.strip()]


def memory_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory of the machine, or of this container when that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (cgroup / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _UNLIMITED:
            return min(whole, int(text))
    return whole


def _gpu(line: str) -> Gpu:
    name, driver, capability, memory = (part.strip() for part in line.split(","))
    return Gpu(name, driver, capability, int(memory) if memory.isdigit() else 0)


def _check_gpus(arguments: Arguments, gpus: list[Gpu]) -> None:
    if len(gpus) < arguments.gpus:
        raise JobFailed(
            f"{arguments.gpus} GPU wanted, {len(gpus)} found on this machine",
            detail="no NVIDIA driver is visible here" if not gpus else gpus[0].name,
            hint="GPU=0 computes without one; on your own host install NVIDIA's container toolkit",
        )
    for gpu in gpus:
        if arguments.capabilities and gpu.capability not in arguments.capabilities:
            raise JobFailed(
                f"this image has no code for {gpu.name} (compute capability {gpu.capability})",
                detail=f"it has code for {', '.join(arguments.capabilities)}",
                hint="choose another image with VARIANT=, see docs/containers.md",
            )
        if arguments.oldest_driver and _parts(gpu.driver) < _parts(arguments.oldest_driver):
            raise JobFailed(
                f"the NVIDIA driver is too old: {gpu.driver}",
                detail=f"this image needs {arguments.oldest_driver} or newer",
                hint="update the driver, or try VARIANT=cuda12, which needs an older one",
            )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def kills_for_memory(places: Sequence[Path] = _KILLS) -> int:
    """How often the system has killed one of this container's processes for want of memory.

    Docker's own report of it comes too late for short-lived containers, or not at all.
    """
    for place in places:
        with contextlib.suppress(OSError):
            for line in place.read_text(encoding="ascii").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


class DiskReserve:
    """Disk space held back for the end of a job, on the disk that the scene lies on.

    Args:
        scene: The scene's folder.
    """

    def __init__(self, scene: Path) -> None:
        self._scene = scene
        self._file = scene / OWN_FOLDER / "room"
        self.was_full = False

    def allocate(self) -> None:
        """Reserve some, so that a step that fills the disk can still be pushed."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(self._file, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:  # nothing to spare, or a file system that can not
            self.release()

    def release(self) -> None:
        """Free it."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def check(self) -> None:
        """Note whether the disk is full now; cheap enough for several times a second."""
        with contextlib.suppress(OSError):
            self.was_full |= shutil.disk_usage(self._scene).free < _FULL_BYTES
