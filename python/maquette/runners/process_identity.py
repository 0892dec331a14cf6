"""What tells a process and a moment of this machine apart, whatever the wall clock does meanwhile.

The wall clock is corrected while jobs run: after a start without network, after sleep, by hand. The
kernel's clock since boot is not, and its boot id changes with each boot.
"""

from __future__ import annotations

import math
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

_PROC = Path("/proc")
_SAME_START_S = 1.0
_START_TICKS = 19  # field 22 of /proc/PID/stat, counted after the name, see proc_pid_stat(5)


def identity(process: psutil.Process) -> dict[str, Any]:
    """What distinguishes a process from a later one with the same number; JSON.

    `start_ticks` are the kernel's, since the boot that `boot_id` names; both are missing where the
    system tells none, and `create_time` (seconds, wall clock) counts.
    """
    known = {"pid": process.pid, "create_time": process.create_time()}
    ticks = _start_ticks(process.pid)
    return known if ticks is None else {**known, "boot_id": boot_id(), "start_ticks": ticks}


def find_process(known: dict[str, Any] | None) -> psutil.Process | None:
    """The process of an identity; None when it has ended, or its number is another's by now."""
    try:
        process = psutil.Process(int((known or {})["pid"]))
        same = _is_same(process, known or {})
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return None


def moment() -> dict[str, Any]:
    """Now, by the clock since boot; JSON."""
    return {"boot_id": boot_id(), "uptime_s": math.floor(1000 * uptime_s()) / 1000}


def age_s(then: dict[str, Any] | None, date: str) -> float:
    """Seconds since a moment; by its date where it was before this boot or on another machine."""
    if then and then.get("boot_id") == boot_id() != "":
        return uptime_s() - float(then["uptime_s"])
    return (datetime.now(UTC) - datetime.fromisoformat(date)).total_seconds()


def boot_id() -> str:
    """The kernel's random name of this boot; empty where the system has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _is_same(process: psutil.Process, known: dict[str, Any]) -> bool:
    if "start_ticks" in known:
        ticks = _start_ticks(process.pid)
        return known["boot_id"] == boot_id() and known["start_ticks"] == ticks
    return abs(process.create_time() - float(known["create_time"])) < _SAME_START_S


def _start_ticks(pid: int) -> int | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(fields.rpartition(")")[2].split()[_START_TICKS])


def started_s(pid: int) -> float | None:
    """When a process began, in seconds since boot; None where the system does not tell."""
    ticks = _start_ticks(pid)
    return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")


def uptime_s() -> float:
    """Seconds since boot, sleep included; no correction of the wall clock changes it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
