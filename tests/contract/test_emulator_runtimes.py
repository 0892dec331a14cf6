"""What the emulator asks of whatever runs its jobs: processes and containers do the same."""

from __future__ import annotations

import os
import stat
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from job_making import BASE_IMAGE, LIMIT_S
from maquette.containers.daemon import connected, find_daemon
from maquette.emulator.container_runtime import USER_ID, ContainerOptions, ContainerRuntime
from maquette.emulator.process_runtime import ProcessRuntime
from maquette.emulator.runtimes import LOST, Runtime, StartError, Task
from waiting import wait_for

MakeTask = Callable[..., Task]


@pytest.fixture(params=["process", pytest.param("container", marks=pytest.mark.docker)])
def make_runtime(request: pytest.FixtureRequest) -> Callable[[], Runtime]:
    return ProcessRuntime if request.param == "process" else ContainerRuntime


@pytest.fixture
def make_task(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeTask]:
    """Make tasks with a volume at /scenes/thing; whatever they left behind is removed."""
    made = []

    def make(script: str, **facts: object) -> Task:
        folder = tmp_path / "volume"
        folder.mkdir(exist_ok=True)
        words = ["sh", "-c", script, "step", "/scenes/thing"]
        task_id = uuid.uuid4().hex
        given = {
            "id": task_id, "image": BASE_IMAGE, "command": words, "environment": {"GIVEN": "1"},
            "mounts": {"/scenes/thing": (folder, True)}, "gpus": 0, "run": tmp_path / task_id,
        }  # fmt: skip
        made.append(Task(**{**given, **facts}))
        return made[-1]

    yield make
    if not request.node.get_closest_marker("docker"):
        return
    with connected(find_daemon()) as client:
        for task in made:
            for left in client.containers.list(all=True, filters={"name": task.id}):
                left.remove(force=True)


def ended(runtime: Runtime, task: Task) -> int:
    wait_for(lambda: runtime.exit_code(task) is not None, LIMIT_S, "the task's end")
    code = runtime.exit_code(task)
    assert code is not None
    return code


def said(runtime: Runtime, task: Task, text: bytes) -> None:
    wait_for(lambda: text in runtime.log(task), LIMIT_S, repr(text))


def test_a_task_runs_once_however_often_it_is_started(
    make_runtime: Callable[[], Runtime], make_task: MakeTask
) -> None:
    """Also by another emulator, after the first was killed before it could write it down."""
    task = make_task('echo x >> "$1/count"; echo "to $GIVEN"; echo two >&2; exit 3')
    for _ in range(3):
        make_runtime().start(task)
    assert ended(make_runtime(), task) == 3
    make_runtime().start(task)
    assert (task.mounts["/scenes/thing"][0] / "count").read_text() == "x\n"
    runtime = make_runtime()
    assert sorted(runtime.log(task).splitlines()) == [b"to 1", b"two"]
    runtime.remove(task)
    runtime.remove(task)
    assert sorted(make_runtime().log(task).splitlines()) == [b"to 1", b"two"]


def test_a_log_can_be_read_while_its_task_is_removed(
    make_runtime: Callable[[], Runtime], make_task: MakeTask
) -> None:
    runtime, reader, task = make_runtime(), make_runtime(), make_task("echo all of it")
    runtime.start(task)
    assert ended(runtime, task) == 0
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(runtime.remove, task)
        logs = [reader.log(task)]
        while not removal.done():
            logs.append(reader.log(task))
        removal.result()
    assert {*logs, reader.log(task)} == {b"all of it\n"}


@pytest.mark.parametrize("kill", [False, True])
def test_a_task_is_stopped(
    make_runtime: Callable[[], Runtime], make_task: MakeTask, kill: bool
) -> None:
    script = 'trap "echo saved; exit 7" TERM; echo ready; while true; do sleep 0.05; done'
    runtime, task = make_runtime(), make_task(script)
    runtime.start(task)
    said(runtime, task, b"ready")
    assert runtime.exit_code(task) is None
    make_runtime().stop(task, kill=kill)
    assert ended(runtime, task) == (137 if kill else 7)
    assert (b"saved" in runtime.log(task)) != kill
    runtime.stop(task, kill=True)


def test_a_task_that_is_lost_has_failed(
    make_runtime: Callable[[], Runtime], make_task: MakeTask
) -> None:
    runtime, task = make_runtime(), make_task("echo ready; sleep 60")
    runtime.start(task)
    said(runtime, task, b"ready")
    lose(runtime, task)
    assert ended(runtime, task) == LOST
    runtime.stop(task, kill=False)
    runtime.remove(task)


def lose(runtime: Runtime, task: Task) -> None:
    if isinstance(runtime, ContainerRuntime):
        runtime._container(task).remove(force=True)
        return
    assert isinstance(runtime, ProcessRuntime)
    wrapper = runtime._wrapper(task)
    assert wrapper is not None
    for child in wrapper.children(recursive=True):
        child.kill()
    wrapper.kill()


def test_a_volume_can_be_changed_from_both_sides(
    make_runtime: Callable[[], Runtime], make_task: MakeTask
) -> None:
    task = make_task('cd "$1"; rm old; echo new > new; mkdir deep; echo x > deep/er; ln -s a b')
    folder = task.mounts["/scenes/thing"][0]
    (folder / "old").write_text("")
    runtime = make_runtime()
    runtime.start(task)
    assert ended(runtime, task) == 0, runtime.log(task)
    runtime.share(task, folder)
    assert sorted(path.name for path in folder.rglob("*")) == ["b", "deep", "er", "new"]
    (folder / "deep" / "er").write_text("changed")


PERSON = 54321  # a user without a name, neither root nor the job's


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="to become another user needs root: `sudo -E`")
def test_a_volume_of_a_person_who_is_not_root_can_be_changed_from_both_sides(
    make_task: MakeTask,
) -> None:
    """The emulator of a person in the group of the daemon's socket."""
    with tempfile.TemporaryDirectory(prefix="person-", dir="/tmp") as name:
        folder = Path(name)
        for path in (folder, folder / "volume", folder / "volume" / "deep"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
            os.chown(path, PERSON, PERSON)
        (folder / "volume" / "old").write_text("old")
        os.chown(folder / "volume" / "old", PERSON, PERSON)
        task = make_task(
            'cd "$1"; echo x >> old; umask 077; mkdir made; echo x > made/file; ln -s a made/b',
            mounts={"/scenes/thing": (folder / "volume", True)}, run=folder / "run",
        )  # fmt: skip
        assert as_person(lambda: start_to_end(task)) == 0
        made = folder / "volume" / "made"
        assert made.stat().st_uid == USER_ID and stat.S_IMODE(made.stat().st_mode) == 0o700
        assert as_person(lambda: (made / "file").write_text("theirs")) != 0, "not yet theirs"
        assert as_person(lambda: take_back(task, folder / "volume")) == 0
        assert (made / "file").read_text() == "theirs" and not (folder / "volume/old").exists()


def start_to_end(task: Task) -> None:
    runtime = ContainerRuntime()
    runtime.start(task)
    assert ended(runtime, task) == 0, runtime.log(task)
    assert os.geteuid() == PERSON


def take_back(task: Task, folder: Path) -> None:
    ContainerRuntime().share(task, folder)
    (folder / "made" / "file").write_text("theirs")
    (folder / "old").unlink()


def as_person(work: Callable[[], object]) -> int:
    """Do it in a process of `PERSON`, who may use the daemon; returns its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["HOME"] = "/tmp"  # root's is not theirs to read
            os.setgroups([Path(find_daemon().host.removeprefix("unix://")).stat().st_gid])
            os.setresgid(PERSON, PERSON, PERSON)
            os.setresuid(PERSON, PERSON, PERSON)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.docker
def test_a_container_is_as_the_service_makes_it(make_task: MakeTask, tmp_path: Path) -> None:
    read_only = tmp_path / "read-only"
    read_only.mkdir()
    task = make_task(
        'echo "$(id -u):$(id -g) $$ $(touch /data/x 2>&1)"; touch /root/x || exit 5',
        mounts={"/data": (read_only, False)},
    )
    runtime = ContainerRuntime()
    runtime.start(task)
    assert ended(runtime, task) == 5
    said = runtime.log(task).decode()
    assert f"{USER_ID}:{USER_ID} 1 " in said and "Read-only" in said
    reaped = make_task('echo "process $$"')
    runtime = ContainerRuntime(ContainerOptions(has_init=True))
    runtime.start(reaped)
    assert ended(runtime, reaped) == 0 and b"process 1\n" not in runtime.log(reaped)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"image": "localhost:1/no/such:image"}, "JOB_IMAGE_PULL"),
        ({"image": "Not A Name"}, "JOB_INVALID_IMAGE_NAME"),
        ({"command": ["no-such-program"]}, "JOB_CREATE_CONTAINER_ERROR"),
    ],
)
def test_what_can_not_start_says_why(
    make_task: MakeTask, facts: dict[str, object], code: str
) -> None:
    runtime, task = ContainerRuntime(), make_task("true", **facts)
    with pytest.raises(StartError) as caught:
        runtime.start(task)
    assert caught.value.code == code and str(caught.value)
    assert runtime._container(task) is None


@pytest.mark.docker
@pytest.mark.parametrize("keeps", [True, False])
def test_an_entrypoint_stays_or_goes(make_task: MakeTask, keeps: bool) -> None:
    with connected(find_daemon()) as client:
        made = client.containers.create(BASE_IMAGE, "true")
        image = made.commit(changes='ENTRYPOINT ["echo", "front"]')
        made.remove()
    try:
        task = make_task("", image=image.id, command=["printf", "back"])
        runtime = ContainerRuntime(ContainerOptions(keeps_entrypoint=keeps))
        runtime.start(task)
        assert ended(runtime, task) == 0
        assert runtime.log(task) == (b"front printf back\n" if keeps else b"back")
        runtime.remove(task)
    finally:
        with connected(find_daemon()) as client:
            client.images.remove(image.id, force=True)


@pytest.mark.parametrize(
    ("began_s", "lost"), [(lambda now: now - 5, False), (lambda now: now - 90, True),
                          (lambda now: now + 5, True), (lambda now: "", True)],
)  # fmt: skip
def test_a_start_that_was_cut_off_is_told_whatever_the_wall_clock_says(
    make_task: MakeTask, began_s: Callable[[float], object], lost: bool
) -> None:
    """A start after now was before the machine booted; an empty marker, one that was killed."""
    task = make_task("true")
    task.run.mkdir()
    marker = task.run / "started"
    marker.write_text(str(began_s(time.monotonic())))
    os.utime(marker, (0, 0))
    assert ProcessRuntime().exit_code(task) == (LOST if lost else None)


def test_a_task_is_stopped_in_the_middle_of_its_start(make_task: MakeTask) -> None:
    """A shell that forks for its command would lose a signal: of 8 stops at once about one."""
    runtime = ProcessRuntime()
    for _ in range(30):
        task = make_task("exec sleep 600")
        runtime.start(task)
        runtime.stop(task, kill=False)
        assert ended(runtime, task) == 143
