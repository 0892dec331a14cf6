"""What INPUT is, told once for every room that asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from maquette.config.settings import Settings
from maquette.errors import ConfigError
from maquette.jobs.inputs import BucketObjects, Input, resolve
from maquette.planning.building import build_job
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.ovh import spec
from maquette.scene.paths import OWN_FOLDER
from maquette.storage import datastores
from maquette.storage.selection import is_own_or_leftover

NOWHERE = Path("/nowhere.mp4")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "scenes" / "thing"


def test_nothing_is_what_the_scene_already_has(scene: Path) -> None:
    assert resolve("", scene, NOWHERE) == Input()
    assert (Input().outside, Input().carried, Input().place) == ("", "", "")


@pytest.mark.parametrize("url", ["https://x/y.zip", "HTTPS://x/y.zip", "Http://x/y.mp4?a=b"])
def test_an_address_in_any_case_is_left_to_the_step(url: str, scene: Path) -> None:
    found = resolve(url, scene, NOWHERE)
    assert found == Input(url, url, is_address=True)
    assert (found.outside, found.carried, found.place) == ("", "", url)


@pytest.mark.parametrize("scheme", ["s3", "S3"])
def test_objects_of_a_bucket_become_files_that_never_move_by_themselves(
    scheme: str, scene: Path
) -> None:
    url = f"{scheme}://bucket/a/photos.zip"
    found = resolve(url, scene, NOWHERE)
    objects = found.objects
    assert objects and (objects.bucket, objects.key) == ("bucket", "a/photos.zip")
    assert objects.file == "photos.zip" and found.inside == objects.place
    assert found.told == found.carried == str(scene / objects.folder / "photos.zip")
    assert is_own_or_leftover(found.inside) and found.inside.startswith(OWN_FOLDER)
    assert (found.outside, found.place) == ("", "stages/source/photos.zip")
    prefix = BucketObjects("s3://bucket/a/photos", "bucket", "a/photos", "folder")
    assert (prefix.file, prefix.place) == ("", "folder")
    assert resolve("s3://bucket/a/b/", scene, NOWHERE).objects != found.objects


def test_a_file_elsewhere_travels(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = resolve("photos/shoe", scene, NOWHERE)
    assert found.told == found.outside == found.carried == str(tmp_path.resolve() / "photos/shoe")
    assert (found.inside, found.place) == ("", "stages/source/shoe")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/photos/shoe", scene, NOWHERE).told == found.told


def test_a_file_of_the_scene_is_there_already(scene: Path) -> None:
    found = resolve(str(scene / "input"), scene, NOWHERE)
    assert (found.told, found.inside, found.place) == (str(scene / "input"), "input", "input")
    assert (found.outside, found.carried) == ("", "")
    assert resolve(str(scene), scene, NOWHERE).place == "."
    assert resolve(f"{scene}-2", scene, NOWHERE).inside == ""


def test_the_bundled_sample_travels_like_any_file(scene: Path, tmp_path: Path) -> None:
    sample = tmp_path / "thing.mp4"
    sample.touch()
    found = resolve("", scene, sample)
    assert found == Input(told=str(sample)) and found.outside == str(sample)
    assert resolve("other.mp4", scene, sample).told.endswith("/other.mp4")


@pytest.mark.parametrize(
    ("url", "told"), [("ftp://me:secret@x/y.zip", "`ftp://` address"), ("s3:///key", "no bucket")]
)
def test_what_can_not_be_fetched_is_refused(url: str, told: str, scene: Path) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        resolve(url, scene, NOWHERE)
    assert "secret" not in refused.value.what


WHERE_IT_LIES = {
    "HTTPS://x/y.zip": ("", "HTTPS://x/y.zip"),
    "s3://bucket/photos.zip": ("carried", "stages/source/photos.zip"),
    "/elsewhere/shoe.mp4": ("carried", "stages/source/shoe.mp4"),
    "{scene}/input": ("", "input"),
}


@pytest.fixture
def far_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    datastores.add("FAR", datastores.DataStore("https://s3.example.org", "far"))


@pytest.mark.usefixtures("far_store")
@pytest.mark.parametrize("given", sorted(WHERE_IT_LIES))
def test_a_job_that_has_a_copy_of_the_scene_gets_the_input_in_it(
    given: str, scene: Path, tmp_path: Path
) -> None:
    way, place = WHERE_IT_LIES[given]
    asked = {"model": "thing", "base_dir": tmp_path, "input": given.format(scene=scene)}
    elsewhere = build_job("prepare", Settings(backend="ovh", **asked))
    assert spec.options_of(elsewhere)["input"] == place
    store = {"carry": "store", "datastore": "FAR", "docker_host": "ssh://gpu-box"}
    job = build_job("prepare", Settings(backend="docker", **asked, **store))
    request = DockerRunner().plan(job)
    there = "" if job.input.is_address else "/workspace/scenes/thing/"
    assert request["options"]["input"] == there + place
    carried = {"source": job.input.told, "place": place} if way else None
    assert request["carried_input"] == carried


def test_a_container_beside_the_scene_sees_the_file_where_it_lies(
    scene: Path, tmp_path: Path
) -> None:
    asked = {"model": "thing", "base_dir": tmp_path, "backend": "docker", "carry": "mount"}
    told = {
        "/elsewhere/shoe.mp4": "/input/shoe.mp4",
        f"{scene}/input": "/workspace/scenes/thing/input",
        "Https://x/y": "Https://x/y",
    }
    for given, place in told.items():
        request = DockerRunner().plan(build_job("prepare", Settings(input=given, **asked)))
        assert request["options"]["input"] == place and request["carried_input"] is None
        sources = [mount["source"] for mount in request["mounts"]]
        assert sources == [str(scene), *([given] if place.startswith("/input/") else [])]


@pytest.mark.parametrize("given", ["/elsewhere/shoe.mp4", "{scene}/input/shoe.mp4"])
def test_an_upstream_program_gets_the_file_where_it_looks(
    given: str, scene: Path, tmp_path: Path
) -> None:
    given = given.format(scene=scene)
    asked = Settings(engine="nvlabs", model="thing", base_dir=tmp_path, input=given)
    carried = DockerRunner().plan(build_job("prepare", asked))["carried_input"]
    assert carried == {"source": given, "place": "neuralangelo/input/thing.mp4"}
