"""What is too large for a limit is published as a smaller copy, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maquette.errors import BadInput
from maquette.publishing import single_file
from maquette.publishing.fitting import Fitted, Request, site_of
from maquette.publishing.single_file import level
from maquette.scene.paths import Scene
from publishing_scene import manifest, mesh, write_page, write_scene

COPIES = ".maquette/copies"


class Maker:
    """Answers as the data plane would, with copies of a size; keeps what was asked."""

    def __init__(self, scene: Scene, lost_db: float | None = 0.4, problem: str = "") -> None:
        self.scene, self.lost_db, self.problem = scene, lost_db, problem
        self.asked: list[Request] = []

    def __call__(self, requests: Sequence[Request]) -> Sequence[dict[str, Any]]:
        self.asked += requests
        return [self.copy(request) for request in requests]

    def copy(self, request: Request) -> dict[str, Any]:
        suffix = {"splats": "sog", "mesh": "glb"}[request["kind"]]
        url = f"{COPIES}/{request['pipeline']}/owl.{suffix}"
        size = int(0.9 * request["limit_bytes"])
        path = self.scene.root / url
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        return {
            "request": request, "url": "" if self.problem else url, "size_bytes": size,
            "lost_db": self.lost_db, "share": "half of it", "problem": self.problem,
            "facts": {"faces": 7} if request["kind"] == "mesh" else {"splats": 9},
        }  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return write_scene(tmp_path / "owl")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_page(tmp_path / "page")


def test_what_fits_is_published_as_it_is(scene: Scene, page: Path) -> None:
    make = Maker(scene)
    fitted = site_of(scene, manifest(), page, 4000, make)
    assert (make.asked, fitted.costs) == ([], ())


def test_what_is_too_large_is_published_as_a_copy_and_what_it_cost_is_told(
    scene: Scene, page: Path
) -> None:
    make = Maker(scene)
    fitted = site_of(scene, manifest(), page, 500, make)
    assert [(one["kind"], one["source"]) for one in make.asked] == [
        ("splats", "results/splat/owl.ply"), ("mesh", "results/photogrammetry/owl.glb"),
    ]  # fmt: skip
    assert fitted.site.manifest["formats"] == {"sog": "owl.sog"}
    assert fitted.site.manifest["splats"] == 9
    assert fitted.site.manifest["meshes"][0]["faces"] == 7
    assert [content for content in fitted.site.files.values() if COPIES in str(content)] == [
        scene.root / COPIES / "splat/owl.sog", scene.root / COPIES / "photogrammetry/owl.glb",
    ]  # fmt: skip
    assert [str(cost) for cost in fitted.costs] == [
        "splats: 700 B made 450 B, half of it; 0.40 dB worse",
        "mesh of photogrammetry: 3 kB made 450 B, half of it; 0.40 dB worse",
    ]


def test_a_mesh_to_walk_on_that_does_not_fit_is_left_out(scene: Scene, page: Path) -> None:
    (scene.root / "ground.glb").write_bytes(b"x" * 3500)
    told = manifest(collision_url="ground.glb")
    assert "collision_url" in site_of(scene, told, page, 4000, Maker(scene)).site.manifest
    assert "collision_url" not in site_of(scene, told, page, 3200, Maker(scene)).site.manifest


def test_splats_that_extract_made_too_small_are_made_anew_of_the_master(
    scene: Scene, page: Path
) -> None:
    make = Maker(scene)
    site_of(scene, manifest(lost_db={"sog": 1.7, "splat": 2.0}), page, 4000, make)
    assert [one["kind"] for one in make.asked] == ["splats"]


def test_a_copy_that_loses_more_than_a_decibel_is_refused(scene: Scene, page: Path) -> None:
    make = Maker(scene, lost_db=1.4)
    with pytest.raises(BadInput, match=r"1\.4 dB worse than the master") as failure:
        site_of(scene, manifest(meshes=[]), page, 500, make)
    assert "larger SIZE_LIMIT" in failure.value.hint
    with pytest.raises(BadInput, match=r"1\.4 dB worse than the mesh"):
        site_of(scene, manifest(formats={}), page, 500, make)


def test_what_can_not_be_made_smaller_is_refused_with_the_setting_that_helps(
    scene: Scene, page: Path
) -> None:
    with pytest.raises(BadInput, match="smallest mesh") as failure:
        site_of(scene, manifest(formats={}), page, 500, Maker(scene, problem="too few faces"))
    assert "PIPELINE=photogrammetry FACES=" in failure.value.hint


def in_one(scene: Scene, page: Path, make: Maker, **more: Any) -> Fitted:
    return site_of(scene, manifest(**more), page, 0, make, in_one_file=True)


def test_one_file_makes_its_largest_parts_smaller_until_all_fits(
    scene: Scene, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_file, "MOST_BYTES", 20_000)
    (scene.root / "results/photogrammetry/owl.glb").write_bytes(b"x" * 30_000)
    make = Maker(scene)
    fitted = in_one(scene, page, make, meshes=[mesh("photogrammetry", 30_000)])
    assert [one["kind"] for one in make.asked] == ["mesh"]
    content = single_file.everything_in_one(fitted.site)
    assert 15_000 < len(content) <= 20_000
    assert b"thumbnails/000001.jpg" in content
    with pytest.raises(BadInput, match="one file with all of `owl`") as failure:
        in_one(scene, page, Maker(scene, problem="no"), meshes=[mesh("photogrammetry", 30_000)])
    assert failure.value.hint.startswith("PIPELINE= publishes one result alone")


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(6, 4000))
def test_the_largest_are_cut_to_one_size_that_fills_the_room(sizes: list[int], room: int) -> None:
    most = level(sizes, room)
    if not most:
        assert sum(sizes) <= room
        return
    assert sum(sizes) > room
    cut = sum(min(size, most) for size in sizes)
    assert room - len(sizes) < cut <= room
