"""What the system refuses, and where: full disks, rights, addresses, missing programs."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest

from command_line import ROOT
from maquette import errors, own_address
from maquette.errors import ExitCode, from_os_error
from maquette.runners.failures import unexplained
from maquette.viewer.serving import AccessProxy, Address


def test_a_file_that_may_not_be_read_has_its_full_path_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = from_os_error(PermissionError(errno.EACCES, "x", "a scene/b.jpg"), "reading")
    assert f"`{tmp_path}/a scene/b.jpg`" in error.what
    assert f"chown -R \"$(id -u):$(id -g)\" '{tmp_path}/a scene/b.jpg'" in error.hint
    error = from_os_error(OSError(errno.EROFS, "x", "b"), "writing")
    assert "read-only" in error.what and "chown" not in error.hint


def test_a_full_disk_names_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = from_os_error(OSError(errno.ENOSPC, "x", "scenes/owl/database.db"), "writing")
    assert f"`{tmp_path}/scenes/owl/database.db`" in error.what and "df -h" in error.hint
    full = str(tmp_path / "full")
    usage = {full: 0, str(tmp_path): 10**9}

    def free(folder: str) -> object:
        return type("Usage", (), {"free": usage.get(str(folder), 10**9)})

    monkeypatch.setattr(errors.shutil, "disk_usage", free)
    assert f"`{full}`" in from_os_error(OSError(errno.ENOSPC, "x"), "writing", full).what
    monkeypatch.setattr(errors.tempfile, "gettempdir", lambda: full)
    assert f"`{full}`" in from_os_error(OSError(errno.ENOSPC, "x"), "writing").what


@pytest.mark.parametrize("code", [126, 127])
def test_an_image_without_maquette_is_said_to_be_one(code: int) -> None:
    reason = unexplained(code, "logs/x.log")
    assert "the image has no maquette" in reason["what"] and "make check-image" in reason["hint"]
    assert reason["code"] == ExitCode.JOB_FAILED


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_is_printed_opens(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("this machine has no addresses of that kind")
    with server:
        shown = own_address.opened_as(host)
        assert shown not in ("0.0.0.0", "::")
        url = AccessProxy(Address(host, server.getsockname()[1]), 1).url
        assert shown in url and host not in url.replace(shown, "")
        with socket.create_connection((shown, server.getsockname()[1]), timeout=60):
            pass
    assert own_address.opened_as("127.0.0.1") == "127.0.0.1"


def test_steps_that_are_named_together_run_one_after_the_other(tmp_path: Path) -> None:
    rules = (ROOT / "Makefile").read_text("utf-8").split("\n$(READY): ")[0]
    (tmp_path / "Makefile").write_text(rules)
    (tmp_path / "ready").touch()
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "begin $2"\nsleep 0.1\necho "end $2"\n')
    program.chmod(0o755)
    words = ["-j4", "prepare", "process", "extract", "READY=ready", f"CLI={program}"]
    hidden = {"MAKEFLAGS", "MAKELEVEL"}
    done = subprocess.run(
        ["make", *words], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={key: value for key, value in os.environ.items() if key not in hidden},
    )  # fmt: skip
    steps = ("prepare", "process", "extract")
    assert done.stdout.split("\n")[:-1] == [
        f"{word} {step}" for step in steps for word in ("begin", "end")
    ]
