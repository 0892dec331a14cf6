"""The command line as a person meets it: exit codes, sentences, and no surprise jobs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import environment, make, maquette_here
from waiting import wait_for

HEAVY = ("torch", "pycolmap", "boto3", "docker", "numpy.linalg", "rich.console", "httpx")


def test_control_commands_load_nothing_heavy(tmp_path: Path) -> None:
    """One after the other; the last one prints a table."""
    code = (
        "import sys\n"
        "from maquette.cli.main import main\n"
        "for words in ('--help', 'jobs', 'status prepare', 'plan process', 'estimate'):\n"
        "    sys.argv = ['maquette', *words.split()]\n"
        "    try:\n        main()\n    except SystemExit:\n        pass\n"
        "    print('LOADED', words, *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    *others, estimate = [set(told.split()) for told in done.stderr.split("LOADED")[1:]]
    assert len(others) == 4 and "estimate" in estimate
    for loaded in (*others, estimate - {"rich.console"}):
        assert not {name for name in loaded if name.split(".")[0] in HEAVY or name in HEAVY}


@pytest.mark.parametrize("command", ["status", "job", "logs", "stop"])
@pytest.mark.parametrize("step", ["prepare", "process", "extract"])
def test_a_question_never_starts_anything(tmp_path: Path, command: str, step: str) -> None:
    done = maquette_here(tmp_path, command, step, "MODEL=never")
    assert done.returncode == 13
    assert "never started" in done.stderr and f"make {step} MODEL=never" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_and_its_question_targets_start_nothing(tmp_path: Path) -> None:
    done = make(tmp_path, "prepare-status", "MODEL=never")
    assert done.returncode != 0 and "never started" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["run", "prepar"], 2, "there is no step"),
        (["run"], 2, "Missing argument"),
        (["run", "prepare", "MODLE=x"], 10, "nearest: `MODEL`"),
        (["run", "prepare", "BACKEND=paperspace"], 10, "no backend"),
        (["run", "process", "MAX_COST=5"], 10, "backends that know it: docker, ovh"),
        (["run", "process", "GPU=17"], 10, "GPU"),
        (["run", "process", "OVERRIDES=nonsense"], 10, "not of the form"),
        (["data", "push", "MODEL=never"], 13, "no scene"),
        (["data", "pull", "DATASTORE=nowhere"], 13, "no data store"),
        (["evaluate", "MODEL=never"], 13, "no scene"),
    ],
)
def test_bad_calls_end_with_their_exit_code_and_a_sentence(
    tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    done = maquette_here(tmp_path, *words)
    assert done.returncode == code and told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["prepare", "INPUT=/nowhere.mp4"], 13, "/nowhere.mp4"),
        (["prepare"], 13, "INPUT="),
        (["process"], 13, "make prepare"),
        (["extract"], 13, "make"),
    ],
)
def test_a_step_that_can_not_start_says_what_to_do(
    tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    done = maquette_here(tmp_path, "run", *words, "MODEL=thing")
    assert done.returncode == code, done.stderr
    assert told in done.stderr and "log: logs/experiments/thing/" in done.stderr
    status = maquette_here(tmp_path, "status", words[0], "MODEL=thing")
    assert status.stdout == "FAILED\n"
    document = json.loads(maquette_here(tmp_path, "job", words[0], "MODEL=thing").stdout)
    assert document["status"]["exitCode"] == code
    assert document["maquette"]["reason"]["code"] == code


def test_wait_0_returns_at_once_and_json_is_json(tmp_path: Path) -> None:
    done = maquette_here(tmp_path, "run", "prepare", "MODEL=thing", "WAIT=0", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["maquette"]["step"] == "prepare"
    maquette_here(tmp_path, "stop", "prepare", "MODEL=thing")
    listed = json.loads(maquette_here(tmp_path, "jobs", "--json").stdout)
    assert [item["id"] for item in listed] == [document["id"]]


def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(tmp_path: Path) -> None:
    fifo = tmp_path / "waiting.mp4"
    os.mkfifo(fifo)  # a reader of it blocks until somebody writes
    main, terminal = pty.openpty()
    words = ["run", "prepare", "MODEL=thing", f"INPUT={fifo}"]
    with subprocess.Popen(
        [sys.executable, "-m", "maquette.cli.main", *words],
        cwd=tmp_path, env=environment(), stdout=terminal, stderr=terminal, stdin=terminal,
    ) as following:  # fmt: skip
        os.close(terminal)

        def state() -> str:
            return maquette_here(tmp_path, "status", "prepare", "MODEL=thing").stdout.strip()

        wait_for(lambda: state() in ("RUNNING", "FAILED"), what="the job")
        before = state()
        shown = _read_until(main, "prepare of thing: job")  # from here on it follows
        following.send_signal(signal.SIGINT)
        code = following.wait(270)
    shown += _drain(main)
    if before == "RUNNING":
        assert code == 130, shown
        assert "make prepare-logs MODEL=thing" in shown and "make prepare-stop" in shown
        assert state() == "RUNNING"
    maquette_here(tmp_path, "stop", "prepare", "MODEL=thing")
    assert state() in ("INTERRUPTED", "FAILED")


def test_ctrl_c_while_text_is_executed_ends_with_the_code_of_an_interruption(
    tmp_path: Path,
) -> None:
    """As importing a dataclass does."""
    (tmp_path / "interrupted.py").write_text(
        "import os, signal\n"
        "from maquette.cli import main\n"
        "def interrupted(**words):\n"
        "    exec('os.kill(os.getpid(), signal.SIGINT); [*range(9)]', globals())\n"
        "main.app = interrupted\n"
        "main.main()\n"
    )
    command = [sys.executable, "-m", "interrupted"]
    assert subprocess.run(command, cwd=tmp_path, env=environment()).returncode == 130


@pytest.mark.soak  # a job that nobody knows of is waited for, for a quarter of a minute
def test_ctrl_c_while_a_job_is_submitted_says_how_to_ask_for_it(tmp_path: Path) -> None:
    """Between the document and the line that names the job, or just after."""
    fifo = tmp_path / "waiting.mp4"
    os.mkfifo(fifo)
    words = ["run", "prepare", "MODEL=thing", f"INPUT={fifo}"]
    with subprocess.Popen(
        [sys.executable, "-m", "maquette.cli.main", *words],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as submitting:  # fmt: skip
        wait_for(lambda: list(tmp_path.rglob("prepare_job.json")), what="the document")
        submitting.send_signal(signal.SIGINT)
        out, err = submitting.communicate(timeout=270)
    assert submitting.returncode == 130, out + err
    assert "`make prepare-status MODEL=thing`" in out and "Traceback" not in err
    maquette_here(tmp_path, "stop", "prepare", "MODEL=thing")
    ended = ("INTERRUPTED", "FAILED", "ERROR")
    wait_for(
        lambda: maquette_here(tmp_path, "status", "prepare", "MODEL=thing").stdout.strip() in ended
    )


def test_clean_asks_and_deletes_only_its_own(tmp_path: Path) -> None:
    for model in ("one", "two"):
        (tmp_path / "scenes" / model / "input").mkdir(parents=True)
        (tmp_path / "logs" / "experiments" / model).mkdir(parents=True)
    refused = maquette_here(tmp_path, "clean", "MODEL=one")
    assert refused.returncode == 2 and (tmp_path / "scenes" / "one").exists()
    assert maquette_here(tmp_path, "clean", "MODEL=one", "YES=1").returncode == 0
    left = {path.name for path in tmp_path.glob("*/*")} | {p.name for p in tmp_path.glob("*/*/*")}
    assert "two" in left and "one" not in left


def _read_until(descriptor: int, text: str) -> str:
    shown = ""
    while text not in shown and (chunk := os.read(descriptor, 65536)):
        shown += chunk.decode(errors="replace")
    return shown


def _drain(descriptor: int) -> str:
    chunks = b""
    try:
        while chunk := os.read(descriptor, 65536):
            chunks += chunk
    except OSError:  # the other end is closed: that is how a terminal ends
        pass
    os.close(descriptor)
    return chunks.decode(errors="replace")


def test_an_evaluation_ends_with_the_command_that_asked_for_it(tmp_path: Path) -> None:
    scene = tmp_path / "scenes" / "ball"
    scene.mkdir(parents=True)
    os.mkfifo(scene / "transforms.json")  # reading it never ends
    asked = subprocess.Popen(
        [sys.executable, "-m", "maquette.cli.main", "evaluate", "MODEL=ball"],
        cwd=tmp_path, env=environment(),
    )  # fmt: skip
    children = Path(f"/proc/{asked.pid}/task/{asked.pid}/children")
    evaluation = Path("/proc") / wait_for(lambda: children.read_text().strip())
    asked.kill()
    asked.wait()
    wait_for(lambda: not (evaluation / "fd").exists(), what="the end of the evaluation")


@pytest.mark.parametrize("content", ["", '{"id": "x", "status": {"state": "DONE", "history": []}}'])
@pytest.mark.parametrize("words", [("run", "process"), ("all",)])
def test_force_starts_a_job_past_a_damaged_document(
    tmp_path: Path, words: tuple[str, ...], content: str
) -> None:
    """Both jobs fail at once, for want of cameras and of photos; that they began is the point."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("no picture")
    logs = tmp_path / "logs" / "experiments" / "never"
    damaged = [logs / "prepare_job.json", logs / "neuralangelo" / "process_job.json"]
    for path in damaged:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    done = maquette_here(tmp_path, *words, "MODEL=never", "FORCE=1", f"INPUT={tmp_path / 'photos'}")
    assert done.returncode in (13, 14), done.stderr
    path = damaged[words == ("run", "process")]
    assert path.with_suffix(".damaged").read_text() == content
    document = json.loads(path.read_text())
    assert (document["status"]["state"], document["status"]["exitCode"]) == (
        "FAILED", done.returncode,
    )  # fmt: skip
