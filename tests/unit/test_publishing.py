"""What is published, how it is written, and that it is taken back exactly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maquette.errors import BadInput, ConfigError, NotFound, UsageError
from maquette.publishing import folder, record, single_file
from maquette.publishing.bucket import content_type
from maquette.publishing.choosing import chosen
from maquette.publishing.options import lifetime
from maquette.publishing.site import addressed
from maquette.scene.paths import Scene
from publishing_scene import manifest, mesh, site_of, write_page, write_scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return write_scene(tmp_path / "owl")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_page(tmp_path / "page")


def test_the_best_format_is_published_with_the_one_for_simple_viewers() -> None:
    told = chosen(manifest(), 0, best_only=False)
    assert set(told["formats"]) == {"sog", "splat"}
    assert told["splat_url"].endswith("owl.splat")
    assert set(chosen(manifest(), 0, best_only=True)["formats"]) == {"sog"}


def test_what_misses_the_size_is_refused_with_the_setting_that_helps() -> None:
    with pytest.raises(BadInput, match="misses SIZE_LIMIT=600 B") as failure:
        chosen(manifest(meshes=[]), 600, best_only=False)
    assert "make extract MODEL=owl PIPELINE=splat SIZE_LIMIT=0.0006MB" in failure.value.hint
    with pytest.raises(BadInput, match="smallest mesh") as failure:
        chosen(manifest(meshes=[mesh("photogrammetry", 10_000, 50_000)]), 2000, best_only=False)
    assert "PIPELINE=photogrammetry FACES=9000" in failure.value.hint


def test_of_a_pipelines_meshes_the_first_that_fits_is_published() -> None:
    meshes = [mesh("photogrammetry", 9000), mesh("photogrammetry", 900), mesh("splat", 800)]
    told = chosen(manifest(meshes=meshes), 2000, best_only=False)
    assert [one["size_bytes"] for one in told["meshes"]] == [900, 800]


def test_points_of_prepare_alone_are_not_published() -> None:
    cloud = {"name": "prepare: points", "url": "x.ply", "pipeline": "", "size_bytes": 9}
    with pytest.raises(NotFound, match="no results to publish"):
        chosen(manifest(formats={}, meshes=[], points=[cloud]), 0, best_only=False)
    fused = {**cloud, "pipeline": "photogrammetry"}
    told = chosen(manifest(formats={}, meshes=[], points=[cloud, fused]), 0, best_only=False)
    assert told["points"] == [fused]


def test_what_lost_more_than_a_decibel_is_refused() -> None:
    poor = manifest(lost_db={"sog": 1.7, "splat": 2.0}, size_bytes={
        "sog": 700, "splat": 1500, "ply": 10**9}, meshes=[])  # fmt: skip
    with pytest.raises(BadInput, match=r"1\.7 dB worse") as failure:
        chosen(poor, 10**6, best_only=False)
    assert "larger SIZE_LIMIT" in failure.value.hint
    assert "make process MODEL=owl PIPELINE=splat CAP=" in failure.value.hint
    assert chosen(poor, 0, best_only=False)["best_format"] == "ply"


def test_a_site_names_its_own_files_and_nothing_of_the_photos(scene: Scene, page: Path) -> None:
    site = site_of(scene, page)
    told = json.dumps(site.manifest)
    assert set(site.files) == {
        "owl.sog", "owl.splat", "owl.glb", "thumbnails/000001.jpg", "picture.jpg", "link.jpg",
    }  # fmt: skip
    assert site.manifest["formats"] == {"sog": "owl.sog", "splat": "owl.splat"}
    for private in ("IMG_7", "images/", ".maquette", "results/", "remarks", str(scene.root)):
        assert private not in told


def test_two_files_of_one_name_both_find_room(scene: Scene, page: Path) -> None:
    other = scene.root / "results/splat/owl.glb"
    other.write_text("other")
    meshes = [mesh("photogrammetry", 9), mesh("splat", 9)]
    site = site_of(scene, page, meshes=meshes)
    assert [one["url"] for one in site.manifest["meshes"]] == ["owl.glb", "splat_owl.glb"]


def test_a_site_holds_the_ground_that_a_walker_stands_on(scene: Scene, page: Path) -> None:
    (scene.root / "results/splat/owl_ground.glb").write_text("ground")
    site = site_of(scene, page, collision_url="results/splat/owl_ground.glb")
    assert site.manifest["collision_url"] == "owl_ground.glb"
    assert "owl_ground.glb" in site.files
    told = addressed(site.manifest, lambda name: f"embedded:{name}")
    assert told["collision_url"] == "embedded:owl_ground.glb"


def test_a_folder_is_taken_back_exactly(scene: Scene, page: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    folder.write(site_of(scene, page), target, "owl")
    assert json.loads((target / "manifest.json").read_text())["formats"]["sog"] == "owl.sog"
    assert 'og:image" content="link.jpg"' in (target / "index.html").read_text()
    (target / "owl.glb").write_text("changed by somebody")
    known = folder.read(target)
    assert known is not None
    assert folder.remove(target, known) == ["owl.glb"]
    assert sorted(path.name for path in target.rglob("*")) == ["mine.txt", "owl.glb"]


def test_publishing_again_removes_what_is_no_longer_shown(
    scene: Scene, page: Path, tmp_path: Path
) -> None:
    target = tmp_path / "site"
    folder.write(site_of(scene, page), target, "owl")
    folder.write(site_of(scene, page, meshes=[]), target, "owl")
    assert not (target / "owl.glb").exists()
    known = folder.read(target)
    assert known is not None
    assert folder.remove(target, known) == []
    assert not target.exists()


def test_a_file_that_publish_did_not_write_is_never_replaced(
    scene: Scene, page: Path, tmp_path: Path
) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (target / "index.html").write_text("my home page")
    with pytest.raises(UsageError, match="publish did not write it"):
        folder.write(site_of(scene, page), target, "owl")
    assert [path.name for path in target.iterdir()] == ["index.html"]


def test_one_file_holds_everything_and_ends_its_scripts_where_it_should(
    scene: Scene, page: Path
) -> None:
    text = single_file.everything_in_one(site_of(scene, page)).decode()
    assert "src=" not in text
    assert "href=" not in text
    assert text.count("<script") == text.count("</script>")
    assert 'id="owl.sog"' in text
    assert 'id="link.jpg"' not in text


def test_one_file_leaves_out_photos_that_do_not_fit_and_refuses_the_rest(
    scene: Scene, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_of(scene, page)
    site.files["thumbnails/000001.jpg"] = b"x" * 30_000
    monkeypatch.setattr(single_file, "MOST_BYTES", 20_000)
    assert b"thumbnails" not in single_file.everything_in_one(site)
    site.files["owl.glb"] = b"x" * 30_000
    with pytest.raises(BadInput, match="not written") as failure:
        single_file.everything_in_one(site)
    assert "`owl.glb`" in failure.value.detail


@pytest.mark.parametrize("text", ["8d", "0m", "169h"])
def test_a_link_that_stores_do_not_allow_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="EXPIRES"):
        lifetime(text)


def test_times_of_links_are_read_with_their_units() -> None:
    assert lifetime("90m").total_seconds() == 5400
    assert lifetime("7d").days == 7


def test_a_damaged_or_newer_record_says_so() -> None:
    with pytest.raises(BadInput, match="damaged"):
        record.parse(b"{}", "site")
    with pytest.raises(BadInput, match="newer version"):
        record.parse(b'{"schema_version": 2}', "site")


def test_browsers_are_told_what_files_are() -> None:
    assert content_type("owl.glb") == "model/gltf-binary"
    assert content_type("page.js") == "text/javascript; charset=utf-8"
    assert content_type("owl.sog") == "application/octet-stream"
    assert content_type("thumbnails/1.jpg") == "image/jpeg"
