"""A method that takes several kinds of input refuses what means nothing to the kind at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from maquette.config.loading import MAKE_OVERRIDES, load
from maquette.config.settings import setting_names
from maquette.errors import ConfigError
from maquette.planning.building import build_job


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*setting_names(), MAKE_OVERRIDES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["photos", "data"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A scene of photos, or of a data set that prepare has indexed."""
    scene = tmp_path / "scenes" / "thing"
    made = {
        "data": ("dataset/index.json",),
        "photos": ("transforms.json", "dense/mvsnet/made", "input/made"),
    }
    for name in made[request.param]:
        (scene / name).parent.mkdir(parents=True, exist_ok=True)
        (scene / name).write_text("{}")
    return str(request.param)


@pytest.mark.parametrize(
    ("step", "word", "for_whom"),
    [
        ("process", "NUM_EPOCHS=3", "data"),
        ("process", "DENSE_SIZE=640", "photos"),
        ("process", "SAVE_MINUTES=2", "data"),
        ("process", "SEED=2", "photos data"),
        ("process", "CHECKPOINT=x.pt", "photos data"),
        ("extract", "DEPTH_MAPS=2", "data"),
        ("extract", "REFINE=1", "photos"),
        ("prepare", "MIN_REGISTERED=0.5", "photos"),
    ],
)
def test_options_of_the_other_kind_are_refused(
    kind: str, step: str, word: str, for_whom: str
) -> None:
    settings = load(["PIPELINE=mvsnet", "MODEL=thing", word])
    if kind in for_whom:
        assert build_job(step, settings).options
        return
    name = word.partition("=")[0]
    with pytest.raises(ConfigError, match=f"{name} means nothing to `make {step}`"):
        build_job(step, settings)


def test_a_scene_that_is_not_prepared_may_become_of_any_kind() -> None:
    words = ["PIPELINE=mvsnet", "MODEL=new", "NUM_EPOCHS=3", "DENSE_SIZE=640"]
    assert build_job("process", load(words)).options


def test_settings_that_were_not_typed_wait_for_the_kind_that_uses_them(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUM_EPOCHS", "3")
    monkeypatch.setenv("DENSE_SIZE", "640")
    assert build_job("process", load(["PIPELINE=mvsnet", "MODEL=thing"])).options


def test_a_data_set_is_trained_on_where_it_is_seen(kind: str) -> None:
    settings = load(["PIPELINE=mvsnet", "MODEL=thing", "BACKEND=ovh"])
    if kind == "photos":
        assert build_job("process", settings).options
        return
    with pytest.raises(ConfigError, match="read where it lies") as caught:
        build_job("process", settings)
    assert caught.value.hint == "BACKEND=local, ray or slurm"
