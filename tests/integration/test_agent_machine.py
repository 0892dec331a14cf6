"""The agent on machines that are too small: their disk, memory and graphics."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_job import RUN, Job, there
from maquette.agent import machine
from maquette.scene.checkpoints import CHECKSUM_SUFFIX, POINTER, checkpoint_name
from maquette.storage.object_store import ObjectStore


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The other machine's disk, with 64 MiB."""
    folder = tmp_path / "there"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], check=False
        ).returncode
    ):
        pytest.skip("mounting a small disk needs root: run as root, in a privileged container")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("code", [1, 12, 14])
def test_a_full_disk_is_told_and_what_was_made_is_pushed(
    tmp_path: Path, stored: ObjectStore, code: int
) -> None:
    name = checkpoint_name(1, 100)
    script = (
        f'mkdir -p "$1/{RUN}"; echo weights > "$1/{RUN}/{name}"; '
        f'echo {name} > "$1/{RUN}/{POINTER}"; cat /dev/zero > "$1/big"; exit {code}'
    )
    job = Job(tmp_path, stored, script, "--least-disk-gb", "0", "--sync-minutes", "60")
    assert job.ended() == 12, job.text
    assert "No space left on device" in job.text, "the disk was not full"
    assert "disk is full" in job.error()["what"] and "same command" in job.error()["hint"]
    assert f"exit code {code}" in job.error()["detail"]
    found = there(tmp_path, stored)
    assert found[f"{RUN}/{POINTER}"].decode().strip() == name
    digest = hashlib.sha256(b"weights\n").hexdigest()
    assert found[f"{RUN}/{name}{CHECKSUM_SUFFIX}"].decode().startswith(digest)
    assert json.loads(found["stages/jobs/process-1.json"])["exit_code"] == 12
    assert len(found["big"]) > 1 << 20 and (job.scene / "big").exists()


@pytest.mark.usefixtures("small_disk")
def test_a_step_that_makes_room_again_has_not_failed(tmp_path: Path, stored: ObjectStore) -> None:
    script = 'cat /dev/zero > "$1/big"; sleep .6; rm "$1/big"'
    job = Job(tmp_path, stored, script, "--least-disk-gb", "0")
    assert job.ended() == 0, job.text


@pytest.mark.parametrize(
    ("said", "kills"),
    [
        ("low 0\nhigh 4\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", 5),
        ("oom_kill_disable 0\nunder_oom 0\n", 0),
    ],
)
def test_kills_for_memory_are_counted_by_either_control_group(
    tmp_path: Path, said: str, kills: int
) -> None:
    (tmp_path / "counts").write_text(said)
    assert machine.kills_for_memory([tmp_path / "none", tmp_path / "counts"]) == kills
    assert machine.kills_for_memory([tmp_path / "none"]) == 0


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--gpus", "1"), "GPU wanted"),
        (("--least-disk-gb", "1e9"), "disk is too full"),
        (("--least-memory-gb", "1e9"), "too little memory"),
    ],
)
def test_a_machine_that_can_not_do_the_job_is_told_before_the_step_begins(
    tmp_path: Path, words: tuple[str, str], what: str
) -> None:
    job = Job(tmp_path, None, "touch $1/ran", *words, PATH=_path_without_gpu(tmp_path))
    assert job.ended() == 12
    assert what in job.error()["what"] and job.error()["hint"]
    assert not (job.scene / "ran").exists()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("Tesla V100S, 580.65.06, 7.0, 32510", "no code for Tesla V100S"),
        ("NVIDIA L4, 535.104.05, 8.9, 23034", "driver is too old"),
        ("NVIDIA L4, 580.65.06, 8.9, 23034", ""),
    ],
)
def test_gpu_and_driver_must_fit_the_image(tmp_path: Path, answer: str, what: str) -> None:
    words = ("--gpus", "1", "--capabilities", "7.5,8.9", "--oldest-driver", "580.65")
    job = Job(tmp_path, None, "true", *words, PATH=_path_with_gpu(tmp_path, answer))
    assert job.ended() == (12 if what else 0), job.text
    assert not what or what in job.error()["what"]


def test_a_container_limit_on_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert machine.memory_bytes(tmp_path) == 1 << 30
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory_bytes(tmp_path) > 1 << 30


def _path_without_gpu(folder: Path) -> str:
    """A PATH with what a shell needs and nothing else."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("bash", "touch", "true"):
        (programs / name).symlink_to(f"/bin/{name}")
    return str(programs)


def _path_with_gpu(folder: Path, answer: str) -> str:
    path = _path_without_gpu(folder)
    program = Path(path) / "nvidia-smi"
    program.write_text(f"#!/bin/bash\necho '{answer}'\n")
    program.chmod(0o755)
    return path
