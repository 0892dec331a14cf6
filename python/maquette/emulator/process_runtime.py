"""Jobs as plain processes, where there is no Docker daemon."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from maquette.emulator.runtimes import LOST, Task

_START_LIMIT_S = 60.0
_POLL_S = 0.01
HOME = "/workspace"  # where the service's images work
# The shell outlives a TERM to its group, because it has to write down how the command ended. A
# TERM that comes before the command does is lost on a shell that forks: a file tells of it too.
_WRAPPER = (
    'run=$1; shift; trap : TERM INT; echo $$ > "$run/pid"; '
    '(trap - TERM INT; [ ! -e "$run/stopping" ] || exit 143; exec "$@") > "$run/log" 2>&1; '
    'echo $? > "$run/exit"'
)


class ProcessRuntime:
    """Runs tasks as processes of this user; mount paths in words become the real folders."""

    name = "processes"
    poll_s = 0.05

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, task: Task) -> None:
        """Start the command below a shell that writes down its end."""
        home = task.run / "workspace"
        home.mkdir(parents=True, exist_ok=True)
        marker = task.run / "started"
        if marker.exists():
            return
        (task.run / "log").touch()
        marker.write_text(str(time.monotonic()))
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        environment = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8"}
        # This machine plays every image: its Python, its packages, its compiled kernels.
        carried = {name: os.environ.get(name, "") for name in ("PYTHONPATH", "WARP_CACHE_PATH")}
        environment |= {name: path for name, path in carried.items() if path}
        environment |= {
            name: _with_real_paths(text, task) for name, text in task.environment.items()
        }
        words = [_with_real_paths(word, task) for word in task.command]
        self._children[task.id] = subprocess.Popen(
            ["sh", "-c", _WRAPPER, "sh", str(task.run), *words],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def exit_code(self, task: Task) -> int | None:
        """Read the end that the shell wrote down; a shell that is gone was killed."""
        if task.id in self._children:
            self._children[task.id].poll()  # collects it when it has ended
        if end := _written(task.run / "exit"):
            return int(end)
        if not _written(task.run / "pid"):
            return None if 0 <= _age_s(task.run / "started") <= _START_LIMIT_S else LOST
        if self._wrapper(task) is not None:
            return None
        return int(_written(task.run / "exit") or LOST)

    def stop(self, task: Task, *, kill: bool) -> None:
        """Signal the whole group; with `kill`, all but the shell that notes the end."""
        (task.run / "stopping").touch()
        while not _written(task.run / "pid") and self.exit_code(task) is None:
            time.sleep(_POLL_S)  # it is just being started
        wrapper = self._wrapper(task)
        if wrapper is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if kill:
                for child in wrapper.children(recursive=True):
                    child.kill()
            else:
                os.killpg(wrapper.pid, signal.SIGTERM)

    def log(self, task: Task) -> bytes:
        """Read the log file."""
        file = task.run / "log"
        return file.read_bytes() if file.exists() else b""

    def remove(self, task: Task) -> None:
        """Remove its home."""
        self._children.pop(task.id, None)
        shutil.rmtree(task.run / "workspace", ignore_errors=True)

    def share(self, task: Task, folder: Path) -> None:
        """Nothing to do: the job runs as this user."""

    def _wrapper(self, task: Task) -> psutil.Process | None:
        try:
            process = psutil.Process(int(_written(task.run / "pid")))
            is_ours = str(task.run) in process.cmdline()
            return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None


def _written(file: Path) -> str:
    """The line that the shell wrote; nothing before that."""
    return file.read_text().strip() if file.exists() else ""


def _age_s(marker: Path) -> float:
    """Seconds since the start that a marker tells; below 0 where it was before this boot.

    The clock counts from the boot, for all processes alike: dates may be corrected meanwhile.
    """
    try:
        return time.monotonic() - float(marker.read_text())
    except ValueError:  # killed while it was written
        return float("inf")


def _with_real_paths(word: str, task: Task) -> str:
    """A word with the mount path, or that of the image's home, replaced by the real folder."""
    mounts = {**task.mounts, HOME: (task.run / "workspace", True)}
    for mount, (folder, _) in mounts.items():
        if word == mount or word.startswith(f"{mount}/"):
            return str(folder) + word.removeprefix(mount)
    return word
