"""Shards as tasks of a Slurm cluster's arrays, as far as no cluster is needed."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from job_making import script_job
from maquette.config.settings import Settings
from maquette.errors import ConfigError
from maquette.runners.slurm import client, launcher
from maquette.runners.slurm.arrays import BLIND_NODE, VARIABLE, ArrayOptions, script
from maquette.runners.slurm.launcher import SlurmLauncher
from maquette.runners.slurm.rows import Row, read, read_accounted
from maquette.runners.slurm.runner import SlurmRunner
from maquette.stages.commands import LAUNCHER, ShardCommand
from maquette.stages.stage import Needs


def test_workers_spread_a_step_by_arrays_of_its_own_name_and_options(tmp_path: Path) -> None:
    job = script_job(
        tmp_path, "true", settings=Settings(backend="slurm", slurm_options="--partition=cpu")
    )
    alone = SlurmRunner().plan(replace(job, options={"workers": 1}))
    assert VARIABLE not in alone["script"] and "arrays=''" in alone["script"]
    spread = SlurmRunner().plan(replace(job, options={"workers": 16}))["script"]
    assert f"export {LAUNCHER}=maquette.runners.slurm.launcher" in spread
    assert f"arrays={job.id}-shards" in spread
    options = ArrayOptions(f"{job.id}-shards", 16, ("--partition=cpu",), str(job.logs))
    assert f"export {VARIABLE}={shlex.quote(options.to_text())}" in spread
    assert ArrayOptions.from_text(options.to_text()) == options
    argv = options.argv(40)
    assert "--array=0-39%16" in argv and argv[-1] == "--partition=cpu" and "--no-requeue" in argv
    inside = {**job.backend_options, "apptainer_image": "x.sif"}
    with pytest.raises(ConfigError, match="WORKERS=16 needs Slurm's commands"):
        SlurmRunner().plan(replace(job, options={"workers": 16}, backend_options=inside))


def test_a_task_runs_its_command_into_its_log(tmp_path: Path) -> None:
    commands = [
        ShardCommand(f"weigh:{n}", ("bash", "-c", f"echo shard {n}; exit {n}"),
                     tmp_path / "with space" / f"{n}.log", Needs())
        for n in (1, 2)
    ]  # fmt: skip
    for index, code in ((1, BLIND_NODE), (0, BLIND_NODE)):
        assert task(script(commands), index) == code
    commands[0].log.parent.mkdir()
    for _ in range(2):
        assert task(script(commands), 1) == 2
    assert commands[1].log.read_text() == "shard 2\nshard 2\n"


def task(text: str, index: int) -> int:
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(index)}
    done = subprocess.run(["bash"], input=text, env=environment, text=True, check=False,
                          stderr=subprocess.DEVNULL)  # fmt: skip
    return done.returncode


class Answers:
    """Plays Slurm for a launcher: one answer a question."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Row]]) -> None:
        self.answers, self.removed = answers, []
        monkeypatch.setattr(client, "sbatch", lambda argv, script: "7")
        monkeypatch.setattr(client, "jobs", lambda numbers: self.answers.pop(0))
        monkeypatch.setattr(client, "remove", self.removed.extend)
        monkeypatch.setattr(launcher, "ASK_EVERY_S", 0.0)
        self.launcher = SlurmLauncher(ArrayOptions("x-shards", 2, (), "/"))


def row(index: int, word: str, code: int | None = None) -> dict[str, Row]:
    return {f"7_{index}": Row(f"7_{index}", word, "", code, 0, "", "", "node1", "x-shards")}


@pytest.mark.parametrize(
    ("word", "code", "told"),
    [("COMPLETED", 0, 0), ("FAILED", 14, 14), ("FAILED", 137, 137), ("NODE_FAIL", 0, None),
     ("CANCELLED", 143, None), ("PREEMPTED", 0, None), ("OUT_OF_MEMORY", 0, 137),
     ("TIMEOUT", 0, 143)],
)  # fmt: skip
def test_how_a_task_ended_is_told_in_the_words_of_a_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, code: int, told: int | None
) -> None:
    waits = row(1, "PENDING")
    slurm = Answers(monkeypatch, [row(0, "RUNNING") | waits, row(0, word, code) | waits])
    commands = [ShardCommand(f"weigh:{n}", ("true",), tmp_path / "log", Needs()) for n in (1, 2)]
    slurm.launcher.start(commands)
    [end] = slurm.launcher.wait(10.0)
    assert (end.name, end.code, end.where) == ("weigh:1", told, "node1")
    slurm.launcher.give_up("weigh:2")
    assert slurm.removed == ["7_1"] and slurm.launcher.wait(10.0) == []


def test_a_task_that_slurm_does_not_know_any_more_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = Answers(monkeypatch, [{}, {}, row(0, "RUNNING"), {}, {}, {}])
    slurm.launcher.start([ShardCommand("weigh:1", ("true",), tmp_path / "log", Needs())])
    [end] = slurm.launcher.wait(10.0)
    assert (end.name, end.code) == ("weigh:1", None) and not slurm.answers


def test_a_task_whose_node_sees_no_scene_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = Answers(monkeypatch, [row(0, "FAILED", BLIND_NODE)])
    log = tmp_path / "log"
    slurm.launcher.start([ShardCommand("weigh:1", ("true",), log, Needs())])
    [end] = slurm.launcher.wait(10.0)
    assert end.code == BLIND_NODE and f"the node node1 does not see `{tmp_path}`" in log.read_text()


def test_answers_of_squeue_and_sacct_are_read() -> None:
    squeue = (
        "7_2|8|FAILED|(NonZeroExitCode)|2304|0|1795786568|1795786572|node1|a|\n"
        "9|9|FAILED|None|9|1|0|0||b|\nbroken\n"
    )
    task, job = read(squeue).values()
    assert (task.id, task.code, task.reason) == ("7_2", 9, "NonZeroExitCode")
    assert (task.started_at, task.node) == ("2026-11-27T13:36:08.000Z", "node1")
    assert (job.code, job.starts, job.started_at) == (137, 1, "")
    sacct = (
        "3|FAILED|0:9|1795786568|1795786572|node2|kill\n"
        "5|CANCELLED by 0|0:0|Unknown|Unknown|None assigned|c\n"
    )
    killed, cancelled = read_accounted(sacct).values()
    assert (killed.code, killed.node) == (137, "node2")
    assert (cancelled.word, cancelled.node, cancelled.started_at) == ("CANCELLED", "", "")
