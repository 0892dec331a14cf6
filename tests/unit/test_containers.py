"""Choosing an image, its build context, and upstream's commands: none needs Docker."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from maquette.agent.arguments import RESUME_ME
from maquette.cli.run import finish, raise_for_end
from maquette.config.settings import Settings
from maquette.containers import build_context, tunnel
from maquette.containers.daemon import Daemon, daemon_of
from maquette.containers.variants import choose, variant_for
from maquette.errors import ConfigError, Interrupted, JobFailed, NotFound
from maquette.jobs.document import change_state, new_document
from maquette.jobs.ledger import StepLedger
from maquette.planning.building import build_job
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.docker.statuses import ending
from maquette.runners.failures import LogEvents
from maquette.runners.local.runner import LocalRunner
from maquette.runners.tracking import ledger_of


@pytest.mark.parametrize(
    ("flavor", "gpus", "variant"),
    [
        ("ai1-1-gpu", 1, "cuda12"),
        ("h100-1-gpu", 2, "cuda12"),
        ("h100-1-gpu", 0, "cpu"),
        ("ai1-1-cpu", 1, "cpu"),
        ("a-flavor-of-next-year", 1, "cuda13"),
    ],
)
def test_the_image_fits_the_flavor(flavor: str, gpus: int, variant: str) -> None:
    assert choose(flavor, gpus) == variant


def test_a_capability_without_an_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"compute capability 6\.1"):
        variant_for("6.1")


def test_a_context_is_the_same_each_time_and_holds_nothing_private(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    first, second = (build_context.pack("recon", extra_ca=authority).read() for _ in range(2))
    assert first == second
    with tarfile.open(fileobj=build_context.pack("recon")) as tar:
        names = tar.getnames()
    assert "images/recon/Dockerfile" in names and "python/maquette/agent/job_run.py" in names
    assert all(name.startswith(("images/recon/", "python/", "wheels/", "extra_ca/"))
               for name in names)  # fmt: skip
    assert not [name for name in names if ".env" in name or "__pycache__" in name]


def test_jobs_that_an_earlier_version_submitted_are_still_found() -> None:
    facts = {"host": "ssh://gpu-box", "context": ""}
    assert daemon_of({"engine": facts}) == daemon_of({"daemon": facts}) == Daemon("ssh://gpu-box")


def test_files_that_a_build_was_told_of_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="EXTRA_CA"):
        build_context.pack("recon", extra_ca=tmp_path / "none.pem")
    with pytest.raises(NotFound, match="WHEELS"):
        build_context.pack("recon", wheels=tmp_path)


UPSTREAM = {
    "prepare": "bash projects/neuralangelo/scripts/preprocess.sh lego input/lego.mp4 2 object",
    "process": "torchrun --nproc_per_node=2 train.py --logdir=logs/experiments/lego --show_pbar "
    "--config=projects/neuralangelo/configs/custom/lego.yaml --max_iter=1000",
    "extract": "torchrun --nproc_per_node=2 projects/neuralangelo/scripts/extract_mesh.py "
    "--config=logs/experiments/lego/config.yaml --checkpoint=logs/experiments/lego/c.pt "
    "--output_file=logs/experiments/lego/lego.ply --resolution=2048 --block_res=128 --textured",
}


@pytest.mark.parametrize("step", sorted(UPSTREAM))
def test_upstream_runs_the_tutorials_commands(step: str, tmp_path: Path) -> None:
    settings = Settings(
        engine="nvlabs", model="lego", gpu=2, iterations=1000, resolution=2048,
        checkpoint="c.pt", base_dir=tmp_path,
    )  # fmt: skip
    assert settings.backend == "docker"
    job = build_job(step, settings)
    request = DockerRunner().plan(job)
    assert request["command"] == ["bash", "-c", f"cd /neuralangelo && {UPSTREAM[step]}"]
    image = "colmap:3.8" if step == "prepare" else "neuralangelo:23.04-py3"
    assert request["image"] == f"docker.io/chenhsuanlin/{image}" and request["gpus"] == 2
    assert "non-commercial" in job.licence
    assert "/neuralangelo" in [mount["target"] for mount in request["mounts"]]
    with pytest.raises(ConfigError, match="runs in its own image"):
        LocalRunner().plan(job)


def test_commercial_use_refuses_what_its_licence_forbids(tmp_path: Path) -> None:
    given = {"model": "lego", "license_mode": "commercial", "base_dir": tmp_path}
    assert build_job("process", Settings(**given)).engine.is_commercial
    with pytest.raises(ConfigError, match="ENGINE=nvlabs can not be used") as caught:
        build_job("process", Settings(engine="nvlabs", **given))
    assert "NVIDIA Source Code License" in caught.value.detail
    with pytest.raises(ValueError, match="nearest: `nvlabs`"):
        Settings(engine="nvlab", model="lego")


def test_what_an_upstream_program_computed_is_noted_with_its_licence(tmp_path: Path) -> None:
    settings = Settings(engine="nvlabs", model="lego", base_dir=tmp_path)
    job = build_job("process", settings)
    document = new_document(job, "docker", {}, 1)
    change_state(document, "DONE", "done", exit_code=0)
    settings.scene_dir.mkdir(parents=True)
    finish(document, ledger_of(job), settings.model_copy(update={"pull": False}), as_json=True)
    report = json.loads((settings.scene_dir / "report.json").read_text())
    assert "NVIDIA Source Code License" in report["licences"]["neuralangelo"]["process"]


def test_an_upstream_program_is_stopped_when_its_time_is_up(tmp_path: Path) -> None:
    settings = Settings(engine="nvlabs", model="lego", max_hours=2, base_dir=tmp_path)
    command = DockerRunner().plan(build_job("process", settings))["command"]
    assert command[:3] == ["timeout", "--kill-after=90", "7200"]


def test_an_upstream_program_is_stopped_when_it_has_cost_enough(tmp_path: Path) -> None:
    given = {"engine": "nvlabs", "model": "lego", "max_hours": 9, "max_cost": 5}
    priced = Settings(**given, price_per_hour=2.5, base_dir=tmp_path)
    command = DockerRunner().plan(build_job("process", priced))["command"]
    assert command[:3] == ["timeout", "--kill-after=90", "7200"]
    with pytest.raises(ConfigError, match="MAX_COST needs to know the machine's price"):
        DockerRunner().plan(build_job("process", Settings(**given, base_dir=tmp_path)))


def test_upstreams_code_must_be_in_the_scene(tmp_path: Path) -> None:
    job = build_job("process", Settings(engine="nvlabs", model="lego", base_dir=tmp_path))
    runner = DockerRunner()
    with pytest.raises(NotFound, match="upstream's code is not in the scene"):
        runner.submit(runner.plan(job))


def test_a_request_holds_the_agents_duties_and_no_secret(tmp_path: Path) -> None:
    settings = Settings(backend="docker", gpu=1, max_hours=2, max_cost=5, price_per_hour=1.93,
                        flavor="ai1-1-gpu", notify_url="https://hooks/secret",
                        base_dir=tmp_path)  # fmt: skip
    request = DockerRunner().plan(build_job("process", settings))
    line = " ".join(request["command"])
    for part in ("--max-hours 2", "--max-cost 5", "--price-per-hour 1.93", "--gpus 1",
                 "--oldest-driver 525.60", "-- maquette-step neuralangelo process"):  # fmt: skip
        assert part in line
    assert "secret" not in line.replace("--secrets-file /workspace/.secrets.json", "")
    assert "hooks" not in str(request)
    assert request["image"].endswith("-cuda12")


@pytest.mark.parametrize(("stopping", "kind"), [(False, JobFailed), (True, Interrupted)])
def test_a_machine_taken_away_is_a_failure_and_a_persons_stop_is_not(
    tmp_path: Path, stopping: bool, kind: type[Exception]
) -> None:
    """`make all` tries failures again, and leaves alone what a person stopped."""
    state, _, why = ending(RESUME_ME, {}, stopping, LogEvents(), "log")
    ours = {"reason": why, "step": "process", "model": "thing"}
    document = {"id": "process-1", "status": {"state": state}, "maquette": ours}
    with pytest.raises(kind):
        raise_for_end(document, StepLedger(tmp_path, "group", "thing", "neuralangelo", "process"))


def test_how_a_job_failed_is_told_also_where_the_disk_is_too_full_to_note_it(
    tmp_path: Path,
) -> None:
    settings = Settings(model="lego", base_dir=tmp_path)
    job = build_job("process", settings)
    ledger = ledger_of(job)
    document = ledger.create(job, "local", {}, lambda current: None)  # and stays so on the disk
    change_state(document, "FAILED", "no space left", exit_code=12)
    document["maquette"]["reason"] = {"what": "no space left", "code": 12, "hint": "free space"}
    with pytest.raises(JobFailed, match="no space left") as caught:
        finish(document, ledger, settings, as_json=False)
    assert caught.value.hint == "free space"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ssh://gpu-box", ["--", "gpu-box", "docker system dial-stdio"]),
        ("ssh://me@Box:2222", ["-l", "me", "-p", "2222", "--", "Box", "docker system dial-stdio"]),
        (
            "ssh://me@[fe80::1]:22",
            ["-l", "me", "-p", "22", "--", "fe80::1", "docker system dial-stdio"],
        ),
        (
            "ssh://box/run/user/7/my docker.sock",
            ["--", "box", "docker --host 'unix:///run/user/7/my docker.sock' system dial-stdio"],
        ),
        ("ssh://-oProxyCommand=x", ["--", "-oProxyCommand=x", "docker system dial-stdio"]),
    ],
)
def test_an_address_becomes_sshs_command_line(address: str, words: list[str]) -> None:
    argv = tunnel.ssh_argv(address)
    assert argv[0] == "ssh" and "BatchMode=yes" in argv
    assert argv[-len(words) :] == words


@pytest.mark.parametrize(
    ("said", "code", "hint"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket: "
            "dial unix /var/run/docker.sock: connect: permission denied",
            11,
            "usermod -aG docker",
        ),
        ("Cannot connect to the Docker daemon at unix:///x. Is it running?", 12, "systemctl start"),
        (
            "kex_exchange_identification: Connection closed by remote host",
            12,
            "try `ssh -p 2 me@b`",
        ),
        ("me@b: Permission denied (publickey,password).", 11, "`ssh-copy-id -p 2 me@b`"),
    ],
)
def test_what_ssh_and_docker_there_say_becomes_a_next_command(
    said: str, code: int, hint: str
) -> None:
    told = tunnel.explain_ssh_error(said, "ssh://me@b:2")
    assert told is not None and int(told.exit_code) == code
    assert hint in told.hint and said in told.detail


def test_an_ordinary_remark_of_ssh_is_no_reason() -> None:
    assert tunnel.explain_ssh_error("Warning: Permanently added 'b' to the list", "ssh://b") is None
