"""Settings: four sources in order, and every mistake reported at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from maquette.config.loading import MAKE_OVERRIDES, load
from maquette.config.settings import setting_names
from maquette.containers.options import ImageOptions
from maquette.errors import ConfigError
from maquette.pipelines.texture import TextureOptions
from maquette.runners.docker.options import DockerOptions
from maquette.runners.ovh.options import OvhOptions


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


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(words)
    assert caught.value.exit_code == 10
    return caught.value.detail


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("SWEEPS=many", "e.g. '3 3 2'"),
        ("SWEEPS=0", "e.g. '3 3 2'"),
        ("SWEEPS=33", "e.g. '3 3 2'"),
        ("REFINE_ROUNDS=1 1 1 1 1", "at most four sizes"),
        ("LONG_FACES=inf", "finite"),
        ("MAX_REPROJ_ERROR=nan", "finite"),
    ],
)
def test_a_value_that_no_step_can_use_is_refused_before_any_starts(word: str, wanted: str) -> None:
    detail = refused(word, "PIPELINE=photogrammetry")
    assert detail.startswith(f"command line: {word}") and wanted in detail


def test_an_option_that_two_classes_declare_is_told_of_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load(["TEXTURE_SIZE=5", "PIPELINE=photogrammetry"], TextureOptions)
    assert caught.value.detail.count("TEXTURE_SIZE") == 1


def test_what_the_backend_does_not_use_is_refused_on_the_command_line() -> None:
    reason = "MAX_COST means nothing to BACKEND=local; backends that know it: docker, ovh"
    assert refused("MAX_COST=5") == f"command line: {reason}"
    assert "means nothing to BACKEND=docker" in refused("OVH_REGION=BHS", "BACKEND=docker")
    assert load(["MAX_COST=5", "BACKEND=docker"]).of(DockerOptions).max_cost == 5
    assert load(["MAX_COST=5", "ENGINE=nvlabs"]).of(DockerOptions).max_cost == 5
    assert load(["ITERATIONS=5", "RESOLUTION=64"]).options["iterations"] == 5, "another step's"


@pytest.mark.parametrize("word", ["UNSEEN=keep", "PRESET=full", "SEED=3", "VARIANT=cuda12"])
def test_what_the_engine_does_not_heed_is_refused_on_the_command_line(
    tmp_path: Path, word: str
) -> None:
    name = word.partition("=")[0]
    assert f"{name} means nothing to ENGINE=nvlabs: leave it out" in refused(word, "ENGINE=nvlabs")
    load([word, "BACKEND=docker"])
    (tmp_path / "maquette.yaml").write_text("engine: nvlabs\n")
    assert "ENGINE=nvlabs" in refused(word)
    load([word, "ENGINE=native", "BACKEND=docker"])
    (tmp_path / "maquette.yaml").write_text(word.replace("=", ": ") + "\n")
    load(["ENGINE=nvlabs"])


def test_what_the_engine_heeds_and_what_the_command_reads_is_fine() -> None:
    told = load(["ITERATIONS=5", "KEEP_LCC=1", "MAX_HOURS=2", "ENGINE=nvlabs"])
    assert told.options["iterations"] == 5
    words = ["VARIANT=cuda12", "ENGINE=nvlabs"]
    assert load(words, ImageOptions).of(ImageOptions).variant == "cuda12", "`make images` uses it"
    assert "no engine of this pipeline" in refused("UNSEEN=keep", "ENGINE=nvlab")


def test_elsewhere_what_some_backend_knows_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "maquette.yaml").write_text("max_cost: 5\n")
    (tmp_path / ".env").write_text("OVH_REGION=BHS\n")
    monkeypatch.setenv("DOCKER_HOST", "ssh://gpu-box")
    assert load().backend_options == {}
    assert load(["BACKEND=docker"]).of(DockerOptions).docker_host == "ssh://gpu-box"
    ours = load(["BACKEND=ovh"]).of(OvhOptions)
    assert (ours.max_cost, ours.ovh_region) == (5, "BHS")
    (tmp_path / "maquette.yaml").write_text("max_costs: 5\n")
    assert "`max_costs`, nearest: `MAX_COST`" in refused()


def test_a_command_of_a_backend_takes_its_options_whatever_the_backend_is() -> None:
    words = ["DOCKER_HOST=ssh://gpu-box", "BACKEND=ovh", "OVH_REGION=BHS"]
    settings = load(words, DockerOptions)
    assert settings.of(DockerOptions).docker_host == "ssh://gpu-box"
    assert settings.of(OvhOptions).ovh_region == "BHS"
    assert "means nothing" in refused(*words)


def test_unknown_backends_and_unusable_options_are_told_with_their_source() -> None:
    assert "no backend `dokcer`, nearest: `docker`" in refused("BACKEND=dokcer")
    detail = refused("BACKEND=docker", "MAX_HOURS=-1", "REGISTRY=a b", "VARIANT=cuda1")
    for name in ("MAX_HOURS=-1", "REGISTRY=a b", "VARIANT=cuda1"):
        assert f"command line: {name}" in detail


def test_a_secret_is_handed_over_and_never_shown(tmp_path: Path) -> None:
    settings = load(["BACKEND=docker", "NOTIFY_URL=https://hooks/secret"])
    assert settings.secrets() == {"NOTIFY_URL": "https://hooks/secret"}
    assert "secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert load(["BACKEND=docker"]).secrets() == {}
    (tmp_path / "maquette.yaml").write_text("notify_url: [https://hooks/secret]\n")
    detail = refused("BACKEND=docker")
    assert "maquette.yaml: NOTIFY_URL=…" in detail and "secret" not in detail


@pytest.mark.parametrize("line", ["pipeline: 5", "backend: 5"])
def test_what_is_no_name_at_all_is_told_as_such(tmp_path: Path, line: str) -> None:
    (tmp_path / "maquette.yaml").write_text(f"{line}\n")
    assert "`5`" in refused()


@pytest.mark.parametrize("name", ["007", "2024-01-01", "12_3", "no", "'1e3'"])
def test_a_value_in_a_file_is_what_was_written(tmp_path: Path, name: str) -> None:
    lines = f"model: {name}", "keep_lcc: yes", "frames: 40", "iterations:"
    (tmp_path / "maquette.yaml").write_text("\n".join(lines))
    settings = load()
    assert settings.model == name.strip("'")
    asked = [settings.options[name] for name in ("keep_lcc", "frames", "iterations")]
    assert asked == [True, 40, 2000]
