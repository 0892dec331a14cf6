"""Settings: four sources in order, and every mistake reported at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from maquette.config.loading import MAKE_OVERRIDES, load
from maquette.config.settings import setting_names
from maquette.errors import ConfigError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*setting_names(), MAKE_OVERRIDES]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_each_source_wins_over_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [load().options["iterations"]]
    (tmp_path / "maquette.yaml").write_text("iterations: 2\n")
    seen.append(load().options["iterations"])
    (tmp_path / ".env").write_text("ITERATIONS=3\nAWS_SECRET_ACCESS_KEY=kept-out\n")
    seen.append(load().options["iterations"])
    monkeypatch.setenv("ITERATIONS", "4")
    seen.append(load().options["iterations"])
    monkeypatch.setenv(MAKE_OVERRIDES, "ITERATIONS=5")
    seen.append(load().options["iterations"])
    seen.append(load(["ITERATIONS=6"]).options["iterations"])
    assert seen == [2000, 2, 3, 4, 5, 6]


def test_all_mistakes_come_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maquette.yaml").write_text("modle: lego\nframes: many\n")
    monkeypatch.setenv("GPU", "none")
    with pytest.raises(ConfigError) as caught:
        load(["RESOLUTON=5", "oops"])
    detail = caught.value.detail
    for part in ("`modle`, nearest: `MODEL`", "FRAMES=many", "GPU=none", "RESOLUTION", "`oops`"):
        assert part in detail
    assert "maquette.yaml" in detail and "environment" in detail and "command line" in detail


@pytest.mark.parametrize("model", ["../up", "a/b", "", " ", "-x", "a" * 65])
def test_a_model_is_a_plain_folder_name(model: str) -> None:
    if model == "":
        assert load(["MODEL="]).model == load().model
        return
    with pytest.raises(ConfigError, match="not usable"):
        load([f"MODEL={model}"])


def test_the_tutorials_defaults() -> None:
    settings = load()
    options = settings.options
    assert (settings.group, options["downsample_rate"], options["scene_type"]) == (
        "experiments", 2, "object",
    )  # fmt: skip
    assert (settings.datastore, settings.gpu, options["block_res"]) == ("NEURALANGELO", 1, 128)
    assert options["iterations"] == 2 * 1000  # as many again for colours alone, which are cheap


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "maquette.yaml").write_text("a: [1,\n")
    with pytest.raises(ConfigError) as caught:
        load()
    assert "maquette.yaml: not YAML" in caught.value.detail
