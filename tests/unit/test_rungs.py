"""The ladder of methods: the cheap first, weak models refused, features not looked for twice."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maquette.recon.sfm import colmap, features, mappers, matching, registration
from maquette.recon.sfm import principal_point as middle
from maquette.recon.sfm.features import Effort
from maquette.recon.sfm.mapping import Quality
from maquette.recon.sfm.principal_point import Evidence
from maquette.recon.sfm.workspace import Attempt, PoseOptions, Workspace
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def quality(registered: int, points: int = 1000) -> Quality:
    return Quality(registered, -0.5, 20, points, 3.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    scene = Scene(tmp_path / "lego")
    return Workspace(scene, tmp_path, PoseOptions(), Progress(None, io.StringIO()))


def mapped_to(
    monkeypatch: pytest.MonkeyPatch, qualities: dict[Any, Quality]
) -> list[tuple[str, Workspace]]:
    """Have each mapper give a model of that quality; what was called, and with what."""
    called: list[tuple[str, Workspace]] = []

    def mapped(workspace: Workspace, name: str, database: Path, mapper: Any) -> Attempt:
        called.append((name, workspace))
        return Attempt(name, database, None, qualities[mapper], mapper=mapper)

    monkeypatch.setattr(registration, "_mapped", mapped)
    return called


def test_the_ladder_climbs_from_seconds_to_minutes() -> None:
    names = [name for name, _, _ in registration.METHODS]
    assert names == [
        "incremental",
        "exhaustive",
        "no-exif-focal",
        "more-features",
        "learned-features",
        "faint-features",
    ]


@pytest.mark.parametrize(
    ("one_by_one", "at_once", "points", "used"),
    [
        (18, 0, 0, "x"),
        (17, 20, 600, "x-global"),
        (17, 20, 590, "x"),  # few points bear poses that are off by percents
        (17, 16, 900, "x"),
        (0, 0, 0, "x"),
    ],
)
def test_all_at_once_counts_where_pictures_were_left_out_and_it_is_firm(
    monkeypatch: pytest.MonkeyPatch,
    workspace: Workspace,
    one_by_one: int,
    at_once: int,
    points: int,
    used: str,
) -> None:
    ways = {
        mappers.incrementally: quality(one_by_one),
        mappers.globally: quality(at_once, points),
    }
    called = mapped_to(monkeypatch, ways)
    attempt = registration._mapped_both_ways(workspace, "x", Path("x.db"))
    assert attempt.method == used
    assert len(called) == (1 if one_by_one == 18 else 2)


@pytest.mark.parametrize(
    ("by_look", "posed", "brings", "matched"),
    [
        (True, 18, True, True),
        (True, 18, False, True),
        (True, 20, True, False),  # nothing is left out
        (True, 5, True, False),  # every pair comes next
        (False, 18, True, False),  # every pair was matched
    ],
)
def test_photos_left_out_are_matched_with_every_other(
    monkeypatch: pytest.MonkeyPatch,
    workspace: Workspace,
    by_look: bool,
    posed: int,
    brings: bool,
    matched: bool,
) -> None:
    names = [f"{number:02d}" for number in range(20)]
    asked: list[tuple[int, int]] = []

    def mapped(workspace: Workspace, name: str, database: Path) -> Attempt:
        return Attempt(name, database, None, quality(20 if name == "left-out" else posed))

    monkeypatch.setattr(registration, "_mapped_by_size", mapped)
    monkeypatch.setattr(registration, "posed", lambda _: names[:posed])
    monkeypatch.setattr(colmap, "image_names", lambda _: names)
    monkeypatch.setattr(colmap, "copy", lambda *_: None)
    monkeypatch.setattr(registration, "_match", lambda *given: asked.extend(given[2]))
    monkeypatch.setattr(
        matching, "counts", lambda _: {"pairs_verified": 30 + bool(asked and brings)}
    )
    chosen = replace(workspace, options=PoseOptions(by_look=by_look))
    attempt = registration._as_matched(chosen, "incremental", lambda: None)
    assert attempt is not None
    assert attempt.method == ("left-out" if matched and brings else "incremental")
    assert len(asked) == (18 + 19 if matched else 0)
    assert all(other in (18, 19) for _, other in asked)


@pytest.mark.parametrize(
    ("before", "after", "mapped"),
    [(1000.0, 5000.0, True), (1000.0, 1100.0, False), (7000.0, 9000.0, False)],
)
def test_smaller_features_are_used_where_there_are_more(
    monkeypatch: pytest.MonkeyPatch,
    workspace: Workspace,
    before: float,
    after: float,
    mapped: bool,
) -> None:
    database = workspace.work / "more.db"

    def counts(path: Path) -> dict[str, float]:
        number = after if path == database else before
        return {"features": 20 * number, "features_per_image": number}

    def extracted(workspace: Workspace, name: str, effort: Effort) -> Path:
        assert effort.enlarged and not effort.thorough
        return database

    done = Attempt("more", database, None, quality(20))
    monkeypatch.setattr(features, "counts", counts)
    monkeypatch.setattr(registration, "_extracted", extracted)
    monkeypatch.setattr(registration, "_matched_and_mapped", lambda *_: done)
    attempt = registration._with_more_features(workspace, "more", lambda: None)
    assert (attempt is done) is mapped


@pytest.mark.parametrize(
    ("option", "evidence", "again"),
    [
        ("auto", Evidence(0.05, 0.0003, 50.0), True),
        ("auto", Evidence(0.05, 0.005, 50.0), False),  # a turntable
        ("auto", Evidence(0.001, 0.0003, 5.0), False),  # it lies in the middle
        ("auto", None, False),
        (False, Evidence(0.05, 0.0003, 50.0), False),
        (True, Evidence(0.05, 0.0003, 50.0), False),  # it was free all along
    ],
)
def test_poses_are_found_again_where_the_principal_point_is_off(
    monkeypatch: pytest.MonkeyPatch,
    workspace: Workspace,
    option: Any,
    evidence: Evidence | None,
    again: bool,
) -> None:
    monkeypatch.setattr(middle, "evidence", lambda model, options: evidence)
    monkeypatch.setattr(middle, "offset", lambda model: (32.0, 12.0))
    called = mapped_to(monkeypatch, {mappers.incrementally: quality(20)})
    chosen = replace(workspace, options=PoseOptions(refine_principal_point=option))
    first = Attempt("incremental", Path("x.db"), None, quality(20), mapper=mappers.incrementally)
    attempt = registration._with_its_principal_point(chosen, first)
    assert len(called) == again
    assert attempt.method == "incremental"
    assert any("32, 12 px" in remark for remark in attempt.remarks) is again
    if again:
        assert called[0][1].options.mapping.refine_principal_point


def test_a_free_principal_point_that_loses_pictures_is_refused(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setattr(middle, "evidence", lambda *_: Evidence(0.05, 0.0003, 50.0))
    mapped_to(monkeypatch, {mappers.incrementally: quality(19)})
    first = Attempt("a", Path("x.db"), None, quality(20), mapper=mappers.incrementally)
    assert registration._with_its_principal_point(workspace, first) is first
