"""A scene and its job documents, as the version before laid them out, are taken over once."""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from maquette.errors import BadInput
from maquette.jobs import layout as job_layout
from maquette.jobs.ledger import find_all
from maquette.recon import step
from maquette.runners.base import get_runner
from maquette.scene import checkpoints, outputs, stage_records
from maquette.scene.atomic import write_json
from maquette.scene.layout import open_scene
from maquette.scene.paths import Scene

OF_BEFORE = Path(__file__).parents[1] / "data" / "layout_1.zip"
PIPELINE = "neuralangelo"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Scene and logs of prepare, process and extract, without the pictures."""
    with zipfile.ZipFile(OF_BEFORE) as archive:
        archive.extractall(tmp_path)
    for path in tmp_path.rglob("*.json"):
        path.write_text(path.read_text().replace("@BASE@", str(tmp_path)))
    return tmp_path


@pytest.fixture
def scene(base: Path) -> Scene:
    return Scene(base / "scenes" / "thing", PIPELINE)


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*.*") if path.is_file()}


def test_nothing_is_lost_and_it_is_done_once(scene: Scene) -> None:
    kept = {name: data for name, data in contents(scene.root).items() if ".json" not in name}
    open_scene(scene.root, PIPELINE)
    assert kept.items() <= contents(scene.root).items()
    assert not (scene.root / "mesh").exists() and not (scene.stages / "options").exists()
    assert checkpoints.newest(scene.run("experiments"))
    assert [output.path for output in outputs.read(scene)][:2] == [
        "results/neuralangelo/thing.ply", "results/neuralangelo/thing.glb",
    ]  # fmt: skip
    assert json.loads(scene.evaluation.read_text())["psnr_db"] > 0
    assert scene.options_file("common", "prepare").exists()
    assert scene.options_file(PIPELINE, "extract").exists()
    times = {path: path.stat().st_mtime_ns for path in scene.root.rglob("*") if path.is_file()}
    open_scene(scene.root, PIPELINE)
    assert times == {p: p.stat().st_mtime_ns for p in scene.root.rglob("*") if p.is_file()}


def test_what_was_done_stays_done(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Training is skipped, although the files it names have moved.

    The mesh is made anew from it: meshes of that time still had what no photo saw.
    """
    for verb, stage, event in (("process", "train", "skipped"), ("extract", "mesh", "finished")):
        open_scene(scene.root, PIPELINE)
        told = json.loads(scene.options_file(PIPELINE, verb).read_text())
        file = scene.root / "told.json"
        write_json(file, told | ({"fresh": False} if "fresh" in told else {}))
        words = [PIPELINE, verb, "--scene", str(scene.root), "--options", str(file)]
        assert step.main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        events = [json.loads(line.split(maxsplit=1)[1]) for line in lines if "@maquette" in line]
        assert [one["event"] for one in events if one.get("stage") == stage][-1] == event


def test_a_kill_in_between_loses_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off at the n-th rename, and gone on with: the same as in one go."""
    whole = tmp_path / "whole" / "thing"
    shutil.copytree(scene.root, whole)
    open_scene(whole, PIPELINE)
    expected = contents(whole)
    for n in range(1, 12):
        cut = tmp_path / f"cut-{n}" / "thing"
        shutil.copytree(scene.root, cut)
        with monkeypatch.context() as patch:
            left = iter(range(n))
            moved = Path.rename

            def rename(path: Path, target: Path, left=left, moved=moved) -> Path:  # type: ignore[no-untyped-def]
                if next(left, None) is None:
                    raise KeyboardInterrupt
                return moved(path, target)

            patch.setattr(Path, "rename", rename)
            with contextlib.suppress(KeyboardInterrupt):
                open_scene(cut, PIPELINE)
        open_scene(cut, PIPELINE)
        assert contents(cut).keys() == expected.keys(), n
        for name in ("mesh", "train", "poses"):
            ours = stage_records.read(Scene(cut, PIPELINE), name)
            assert ours == stage_records.read(Scene(whole, PIPELINE), name)


def test_a_run_of_the_pipelines_own_name(scene: Scene) -> None:
    (scene.root / "runs" / "experiments").rename(scene.root / "runs" / PIPELINE)
    open_scene(scene.root, PIPELINE)
    assert checkpoints.newest(scene.run(PIPELINE))
    assert [path.name for path in scene.runs.iterdir()] == [PIPELINE]


def test_a_step_at_work_is_not_disturbed(scene: Scene) -> None:
    import fcntl

    with open(scene.stages / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        open_scene(scene.root, PIPELINE)
        assert (scene.root / "mesh" / "thing.ply").exists()
    open_scene(scene.root, PIPELINE)
    assert (scene.results / "thing.ply").exists()


def test_what_comes_again_in_the_old_layout(scene: Scene, tmp_path: Path) -> None:
    """A pull from a bucket that an older version filled: the same goes, another file stays."""
    old = ("mesh", "runs/experiments")
    for folder in old:
        shutil.copytree(scene.root / folder, tmp_path / folder)
    open_scene(scene.root, PIPELINE)
    for folder in old:
        shutil.copytree(tmp_path / folder, scene.root / folder)
    (scene.root / "mesh" / "thing.glb").write_bytes(b"another")
    (scene.root / "runs" / "experiments" / "config.yaml").write_bytes(b"another")
    said: list[str] = []
    open_scene(scene.root, PIPELINE, say=said.append)
    assert [path.name for path in (scene.root / "mesh").iterdir()] == ["thing.glb"]
    assert (scene.results / "thing.glb").read_bytes() != b"another"
    (sentence,) = said
    assert "2 files" in sentence and "mesh/thing.glb, runs/experiments/config.yaml" in sentence


def test_old_files_that_differ_are_told_and_compared_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_scene(scene.root, PIPELINE)
    (scene.root / "mesh").mkdir()
    (scene.root / "mesh" / "thing.glb").write_bytes(b"another")
    open_scene(scene.root, PIPELINE)
    assert "1 file of an older maquette" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr("filecmp.cmp", None)  # not called again
        open_scene(scene.root, PIPELINE)
    assert capsys.readouterr().err == ""
    (scene.root / "mesh" / "thing.glb").write_bytes((scene.results / "thing.glb").read_bytes())
    open_scene(scene.root, PIPELINE)
    assert not (scene.root / "mesh").exists()


def test_a_newer_scene_is_refused_by_name(scene: Scene) -> None:
    write_json(scene.stages / "layout.json", {"layout": 4, "maquette": "9.9"})
    with pytest.raises(BadInput, match="a newer maquette wrote the scene `thing`") as caught:
        open_scene(scene.root, PIPELINE)
    assert "layout 4 of maquette 9.9" in caught.value.detail
    assert (scene.root / "mesh" / "thing.ply").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outputs": [{"path": 1}]}', None])
def test_a_damaged_list_of_results_is_made_again(scene: Scene, text: str | None) -> None:
    open_scene(scene.root, PIPELINE)
    file = scene.results / outputs.FILE
    before = file.read_text()
    file.unlink() if text is None else file.write_text(text)
    assert [output.stage for output in outputs.read(scene)] == ["mesh", "mesh"]
    assert file.read_text() == before


def test_job_documents_move_and_name_the_new_places(base: Path) -> None:
    logs = base / "logs"
    before = contents(logs)
    job_layout.bring_up(logs)
    assert contents(logs).keys() == before.keys()
    owners = {ledger.step: ledger.owner for ledger in find_all(logs)}
    assert owners == {"prepare": "common", "process": PIPELINE, "extract": PIPELINE}
    for ledger in find_all(logs):
        document = ledger.read()
        handle, runner = document["maquette"]["handle"], get_runner(document["maquette"]["backend"])
        assert runner.status(handle).state == document["status"]["state"] == "DONE"
        assert list(runner.logs(handle, follow=False)), ledger.step


def test_what_an_older_job_still_writes_is_taken_over_too(base: Path) -> None:
    logs = base / "logs"
    folder = logs / "experiments" / "thing"
    late = {path: path.read_text() for path in folder.rglob("process*.json")}
    job_layout.bring_up(logs)
    for path, text in late.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace('"DONE"', '"FAILED"'))
    job_layout.bring_up(logs)
    (ledger,) = [ledger for ledger in find_all(logs) if ledger.step == "process"]
    assert ledger.owner == PIPELINE and ledger.read()["status"]["state"] == "FAILED"
