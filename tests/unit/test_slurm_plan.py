"""Jobs of a Slurm cluster, as far as no cluster is needed: plan, script, refusals, answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from job_making import script_job
from maquette.config.settings import Settings
from maquette.errors import ConfigError, CredentialsError, JobFailed
from maquette.runners.base import ResponseLost
from maquette.runners.slurm import client, sbatch_options
from maquette.runners.slurm.refusals import refusal
from maquette.runners.slurm.runner import SlurmRunner
from maquette.runners.slurm.script import BatchScript
from maquette.runners.slurm.states import waiting


def plan(folder: Path, script: str = "true", **options: object) -> dict:
    return SlurmRunner().plan(
        script_job(folder, script, settings=Settings(backend="slurm", **options))
    )


def test_the_request_has_our_id_a_log_a_signal_ahead_and_what_a_person_adds(
    tmp_path: Path,
) -> None:
    request = plan(tmp_path, max_hours=1.5, slurm_options="--partition=gpu --gres=gpu:1")
    argv = request["argv"]
    assert argv[0] == "sbatch" and f"--job-name={request['job_id']}" in argv
    assert "--signal=B:TERM@120" in argv and "--requeue" in argv and "--time=90" in argv
    assert argv[-2:] == ["--partition=gpu", "--gres=gpu:1"]
    assert f"--output={request['log']}" in argv and not list(tmp_path.iterdir())


def test_a_percent_sign_in_a_folder_is_none_of_a_pattern(tmp_path: Path) -> None:
    request = plan(tmp_path / "50%")
    assert f"--output={request['log']}".replace("50%", "50%%") in request["argv"]


def test_a_step_runs_with_this_python_or_in_an_image(tmp_path: Path) -> None:
    job = script_job(tmp_path, "true", settings=Settings(backend="slurm"))
    ours = {**vars(job), "command": ("maquette-step", "splat", "process", "--scene", "{scene}")}
    assert (
        f"command=({sys.executable} -m maquette.recon.step splat process"
        in (SlurmRunner().plan(type(job)(**ours))["script"])
    )
    options = {**job.backend_options, "apptainer_image": "docker://registry/maquette:1"}
    spec = {**job.spec, "resources": {"gpu": 1}}
    script = SlurmRunner().plan(
        type(job)(**{**ours, "backend_options": options, "spec": spec})
    )["script"]  # fmt: skip
    assert (
        f"command=(apptainer exec --nv --bind={job.scene} docker://registry/maquette:1 "
        f"maquette-step splat process --scene {job.scene})"
    ) in script


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--array=1-3", "`--array` can not be given: a step is one job"),
        ("--arr=1-3", "`--array` can not be given"),
        ("--output=/dev/null", "the log lies in logs/"),
        ("-p gpu", "`-p` is no option in its long form"),
        ("--partition gpu", "`gpu` is no option in its long form"),
        ("--nodes=2", "one task on one node"),
        ("--comment='", "can not be read: No closing quotation"),
    ],
)
def test_options_that_would_break_a_job_are_refused(given: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sbatch_options.parse(given, 0)
    assert told in caught.value.what


def test_a_time_limit_is_told_once_and_leaves_time_to_save(tmp_path: Path) -> None:
    assert "--time=10:00:00" in plan(tmp_path, slurm_options="--time=10:00:00")["argv"]
    with pytest.raises(ConfigError, match="both limit the job's time"):
        plan(tmp_path, slurm_options="--time=600", max_hours=1)
    with pytest.raises(ConfigError, match=r"MAX_HOURS=0\.01 is too short"):
        plan(tmp_path, max_hours=0.01)


def test_what_slows_a_step_is_said_before(tmp_path: Path) -> None:
    remarks = SlurmRunner().remarks(plan(tmp_path))
    assert len(remarks) == 1 and "one CPU" in remarks[0]
    with_gpu = {**plan(tmp_path, slurm_options="--cpus-per-task=4"), "gpus": 1}
    assert "no GPU" in SlurmRunner().remarks(with_gpu)[0]
    enough = {**plan(tmp_path, slurm_options="--cpus-per-task=4 --gres=gpu:1"), "gpus": 1}
    assert not SlurmRunner().remarks(enough)


def test_where_there_is_no_slurm_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        SlurmRunner().submit(plan(tmp_path))
    assert "no `sbatch`" in caught.value.what and "login node" in caught.value.hint
    assert not (tmp_path / "scenes").exists()


def run_script(script: BatchScript, folder: Path) -> tuple[int, str, dict]:
    """Run a batch script as a node would; its exit code, output, and what it wrote of its end."""
    environment = {**os.environ, "SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}
    done = subprocess.run(
        ["bash"], input=script.text(), env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout, json.loads((folder / "end").read_text())


def test_the_script_tells_how_the_step_ended(tmp_path: Path) -> None:
    words = ["bash", "-c", 'echo "it\'s $0"; exit 9', "a b"]
    script = BatchScript(tmp_path / "end", tmp_path / "stop", words, {"LANG": "C"})
    code, output, end = run_script(script, tmp_path)
    assert (code, output) == (9, "it's a b\n")
    assert (end["job"], end["code"], end["asked"], end["node"]) == ("7", 9, 0, "n1")
    assert end["started"] <= end["ended"]


def test_a_node_that_lacks_something_says_so(tmp_path: Path) -> None:
    lost = tmp_path / 'a "b"'
    script = BatchScript(tmp_path / "end", tmp_path / "stop", ["true"], seen=[str(lost)])
    code, output, _ = run_script(script, tmp_path)
    event = json.loads(output.removeprefix("@maquette "))
    assert (code, event["code"]) == (13, 13)
    assert event["what"] == f"the node n1 does not see `{lost}`"
    script = BatchScript(tmp_path / "end", tmp_path / "stop", ["no-such-program"])
    assert "the node n1 has no `no-such-program`" in run_script(script, tmp_path)[1]


def test_a_job_that_was_stopped_before_it_began_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    script = BatchScript(tmp_path / "end", tmp_path / "stop", ["echo", "hello"])
    code, output, end = run_script(script, tmp_path)
    assert (code, output, end["asked"]) == (130, "", 1)


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("sbatch: error: invalid partition specified: zz", ConfigError, "no such partition"),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition "
         "combination specified", CredentialsError, "may not use the partition"),
        ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job "
         "submit limit)", CredentialsError, "over the limit of the account"),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not "
         "available", ConfigError, "no node of the partition has"),
        ("sbatch: unrecognized option '--foo=1'\nTry \"sbatch --help\"", ConfigError, "an option"),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
         ResponseLost, "may be queued"),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect "
         "failure)", JobFailed, "nothing was submitted"),
        ("sbatch: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host\nsbatch: "
         "error: fetch_config: DNS SRV lookup failed", JobFailed, "belongs to no Slurm cluster"),
        ("sbatch: error: something new", JobFailed, "refused the job"),
    ],
)  # fmt: skip
def test_refusals_are_sentences_with_a_next_command(said: str, kind: type, told: str) -> None:
    error = refusal(said)
    assert type(error) is kind and told in error.what
    assert error.hint and "Try" not in error.detail


def test_a_reason_to_wait_is_explained_where_it_needs_somebody() -> None:
    assert waiting("None") == "waits in the queue"
    assert waiting("Priority") == "waits in the queue: Priority"
    assert "limit of the account" in waiting("AssocGrpCPUMinutesLimit")


def test_batch_jobs_get_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    monkeypatch.setenv("OVHAI_TOKEN", "k")
    known = client._environment()
    assert "PATH" in known and "k" not in known.values()
