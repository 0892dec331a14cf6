"""The data commands as a person calls them, with the built-in store and with a real endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from command_line import environment, make, maquette_here
from maquette.storage.embedded import Running
from s3_server import KEYS, write_scene
from synthetic_scene import write_photos
from waiting import wait_for

SMALL = {"images/1.jpg": b"one", "report.json": b"{}", "results/neuralangelo/thing.ply": b"mesh"}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a scene, and a person without data stores or AWS files."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    write_scene(tmp_path / "scenes" / "thing", SMALL)
    return tmp_path


@pytest.fixture
def with_store(base: Path, server: Running, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    done = maquette_here(
        base, "datastore", "add", "NEURALANGELO", "--endpoint", server.location.endpoint
    )
    assert done.returncode == 0, done.stderr
    return base


def test_make_moves_a_scene_without_any_account(base: Path) -> None:
    """What each target calls: tests/unit/test_make_targets.py."""
    shown = maquette_here(base, "data", "push", "MODEL=thing", "DRY_RUN=1")
    assert "would push 3 files" in shown.stdout and "images/1.jpg" in shown.stdout, shown.stderr
    assert "pushed 3 files" in make(base, "data-push", "MODEL=thing").stdout
    (base / "scenes").rename(base / "before")
    assert "pulled 2 files" in make(base, "pull-data", "MODEL=thing", "ONLY=results").stdout
    assert "pulled 1 file," in maquette_here(base, "data", "pull", "MODEL=thing").stdout
    assert ".store" in maquette_here(base, "store").stdout
    refused = maquette_here(base, "data", "clear", "MODEL=thing")
    assert refused.returncode and "YES=1" in refused.stderr
    cleared = maquette_here(base, "data", "clear", "MODEL=thing", "YES=1")
    assert "removed 4 objects" in cleared.stdout


def test_the_built_in_store_ends_with_its_command_even_when_that_is_killed(base: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\n"
         "from maquette.storage.embedded import serving\n"
         "with serving(Path('.store')) as running:\n"
         "    print(running.location.endpoint, flush=True)\n    sys.stdin.read()\n"],
        cwd=base, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout and "127.0.0.1" in holder.stdout.readline()
        servers = psutil.Process(holder.pid).children(recursive=True)
        assert any("rclone" in process.name() for process in servers)
        holder.kill()
    wait_for(lambda: not any(process.is_running() for process in servers), what="their end")


def test_json_and_exit_codes(base: Path) -> None:
    plan = json.loads(
        maquette_here(base, "data", "push", "MODEL=thing", "DRY_RUN=1", "--json").stdout
    )
    assert plan["bytes"] == sum(map(len, SMALL.values())) and len(plan["actions"]) == 3
    done = maquette_here(base, "data", "push", "MODEL=thing", "--json")
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert (outcome["files"], outcome["unchanged"]) == (3, 0)
    write_scene(base / "scenes" / "thing", {"report.json": b"mine"})
    report = next((base / ".store").glob("buckets/*/thing/report.json"))
    report.write_bytes(b"theirs")
    conflict = maquette_here(base, "data", "push", "MODEL=thing")
    assert conflict.returncode == 14, conflict.stderr
    assert "1 file changed both here and in the bucket" in conflict.stderr
    assert "scenes/thing/report.json" in conflict.stderr and "PREFER=local" in conflict.stderr
    assert "pushed 0 files" in conflict.stdout and "1 changed on both sides" in conflict.stdout
    told = maquette_here(base, "data", "pull", "MODEL=thing", "--json")
    assert told.returncode == 14 and len(json.loads(told.stdout)["conflicts"]) == 1
    shown = maquette_here(base, "data", "push", "MODEL=thing", "DRY_RUN=1")
    assert "1 changed on both sides, kept" in shown.stdout
    assert maquette_here(base, "data", "push", "MODEL=thing", "PREFER=local").returncode == 0
    assert report.read_bytes() == b"mine"


def test_what_is_not_there_leaves_nothing_behind(base: Path) -> None:
    """No folder that looks like a scene, no empty bucket."""
    assert maquette_here(base, "data", "pull", "MODEL=typo").returncode == 13
    assert not (base / "scenes/typo").exists()
    assert maquette_here(base, "data", "push", "MODEL=typo").returncode == 13
    (base / "scenes/bare").mkdir()
    assert maquette_here(base, "data", "push", "MODEL=bare").returncode == 0
    assert list((base / ".store/buckets").iterdir()) == []
    cleared = maquette_here(base, "data", "clear", "MODEL=thing", "YES=1")
    assert "nothing to remove" in cleared.stdout, cleared.stderr


def test_a_selection_that_fits_nothing_is_said(base: Path) -> None:
    for words in (["DRY_RUN=1"], []):
        done = maquette_here(base, "data", "push", "MODEL=thing", "ONLY=reslts", *words)
        assert done.returncode == 0 and "no file fits ONLY=reslts" in done.stderr
    fits = maquette_here(base, "data", "push", "MODEL=thing", "ONLY=results")
    assert "pushed 2 files" in fits.stdout and "fits" not in fits.stderr


def test_a_forgotten_option_points_to_its_own_help(base: Path) -> None:
    done = maquette_here(base, "datastore", "add", "NEURALANGELO")
    assert done.returncode == 2 and "`maquette datastore add --help`" in done.stderr


def test_a_data_store_is_checked(with_store: Path) -> None:
    done = maquette_here(with_store, "datastore", "check", "NEURALANGELO", "MODEL=checked")
    assert done.returncode == 0 and "NEURALANGELO works" in done.stdout, done.stderr
    listed = json.loads(maquette_here(with_store, "datastore", "list", "--json").stdout)
    assert list(listed) == ["NEURALANGELO"] and "key" not in json.dumps(listed)
    assert maquette_here(with_store, "data", "push", "MODEL=thing").returncode == 0
    assert not (with_store / ".store").exists()
    assert maquette_here(with_store, "datastore", "remove", "NEURALANGELO").returncode == 0
    assert maquette_here(with_store, "datastore", "check", "NEURALANGELO").returncode == 13


def test_an_endpoint_where_nobody_answers(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maquette.storage.wire._LONGEST_PAUSE_S", 0.01)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    maquette_here(base, "datastore", "add", "NOWHERE", "--endpoint", "http://127.0.0.1:9")
    done = maquette_here(base, "data", "push", "MODEL=thing", "DATASTORE=NOWHERE")
    assert done.returncode == 12 and "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_secrets_are_in_no_output_document_log_or_argv(with_store: Path) -> None:
    """Also when things fail: every word that was shown or written is searched."""
    said = []
    for words in (
        ["data", "push", "MODEL=thing"],
        ["data", "push", "MODEL=thing", "--json", "RELIST=1"],
        ["data", "pull", "MODEL=missing"],
        ["data", "push", "MODEL=thing", "BUCKET_NAME=no.such..bucket"],
        ["datastore", "check", "NEURALANGELO", "BUCKET_NAME=ab"],
        ["datastore", "list"],
        ["store"],
    ):
        done = maquette_here(with_store, *words)
        said.append(done.stdout + done.stderr)
    built_in = maquette_here(with_store, "data", "push", "MODEL=thing", "--json")
    said.append(built_in.stdout + built_in.stderr)
    for path in with_store.rglob("*"):
        if path.is_file():
            said.append(path.read_bytes().decode(errors="replace"))
    for process in psutil.process_iter(["cmdline"]):
        said.append(" ".join(process.info["cmdline"] or ()))
    assert not [text[:200] for text in said if KEYS.secret_key in text]


def test_an_input_in_a_bucket(with_store: Path, server: Running) -> None:
    """A prefix and a zip of it prepare the same photos; only changed objects come again."""
    import shutil

    import boto3

    photos = with_store / "photos"
    photos.mkdir()
    write_photos(photos, 4, 64, 48)
    shutil.make_archive(str(with_store / "photos"), "zip", photos)
    client = boto3.client("s3", endpoint_url=server.location.endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="my-photos")
    for path in photos.iterdir():
        client.upload_file(str(path), "my-photos", f"shoe/{path.name}")
    client.upload_file(str(with_store / "photos.zip"), "my-photos", "zips/photos.zip")
    wanted = {path.name for path in photos.iterdir()}
    for model, url in (("one", "s3://my-photos/shoe"), ("two", "s3://my-photos/zips/photos.zip")):
        words = ["run", "prepare", f"MODEL={model}", f"INPUT={url}", "UNTIL=input"]
        done = maquette_here(with_store, *words)
        assert done.returncode == 0, done.stderr + done.stdout
        assert {path.name for path in (with_store / "scenes" / model / "input").iterdir()} == wanted
    client.delete_object(Bucket="my-photos", Key="zips/photos.zip")
    gone = maquette_here(with_store, "run", "prepare", "MODEL=two", f"INPUT={url}", "UNTIL=input")
    assert gone.returncode == 13 and f"nothing at `{url}`" in gone.stderr
    for url in ("s3://my-photos/nothing", "s3://my-photos/shoe/none.zip", "s3://no-bucket/a.zip"):
        missing = maquette_here(with_store, "run", "prepare", "MODEL=x", f"INPUT={url}")
        assert missing.returncode == 13 and f"nothing at `{url}`" in missing.stderr
        assert not (with_store / "logs/experiments/x").exists()
        assert not (with_store / "scenes/x").exists()


def test_data_commands_that_find_nothing_changed_do_not_load_boto3(base: Path) -> None:
    maquette_here(base, "data", "push", "MODEL=thing")
    code = (
        "import sys\nsys.argv = ['maquette', 'data', 'push', 'MODEL=thing']\n"
        "from maquette.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'boto3' not in sys.modules and 'botocore' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=base, env={**environment(), **{k: v for k, v in os.environ.items() if k == "HOME"}},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "3 unchanged" in done.stdout, done.stderr
