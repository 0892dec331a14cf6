"""CI's script for a daemon and a base image, with the daemon that is here."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import ROOT
from maquette.containers.daemon import connected, find_daemon

pytestmark = pytest.mark.docker


@pytest.fixture
def base() -> Iterator[str]:
    """The name of an image that no registry has."""
    name = f"localhost:1/maquette/base:of-{random.randrange(1 << 32):08x}"
    yield name
    with connected(find_daemon()) as client:
        for image in client.images.list(name):
            client.images.remove(image.id)


@pytest.mark.parametrize("works", [True, False])
def test_a_missing_base_image_is_made_though_the_daemon_ran_before(
    tmp_path: Path, base: str, works: bool
) -> None:
    script = (ROOT / ".ci" / "docker_daemon").read_text()
    script = script.replace("base=debian:bookworm-slim", f"base={base}")
    programs = tmp_path / "programs"
    programs.mkdir()
    small = programs / "debootstrap"  # the real one needs minutes and a mirror
    small.write_text(f"#!/bin/sh\necho working\n{'touch $3/made' if works else 'exit 1'}\n")
    small.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{script}\necho went on"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=270,
    )
    assert done.returncode == 0 and done.stdout.endswith("went on\n"), done.stdout + done.stderr
    assert (tmp_path / "build" / "debootstrap.log").read_text() == "working\n"
    with connected(find_daemon()) as client:
        assert bool(client.images.list(base)) == works
    assert ("tests of containers are skipped" in done.stdout) != works
