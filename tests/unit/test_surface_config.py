"""Settings are strict and complete; the schedule reaches its end at any number of iterations."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from maquette.errors import ConfigError
from maquette.recon.surface import merging
from maquette.recon.surface.presets import PRESETS
from maquette.recon.surface.scene_config import PreparedImages, scene_config
from maquette.recon.surface.schedule import Schedule
from maquette.recon.training.configuration import to_mapping, write_tree

GENERATED = {
    "_parent_": "projects/neuralangelo/configs/base.yaml",
    "data": {
        "num_images": 96,
        "readjust": {"center": [0.0, 0.0, 0.0], "scale": 1.0},
        "root": "datasets/lego_ds2",
        "train": {"image_size": [360, 480]},
        "type": "projects.neuralangelo.data",
        "val": {"image_size": [300, 400], "subset": 2},
    },
    "model": {
        "appear_embed": {"enabled": True, "dim": 8},
        "background": {"enabled": False},
        "object": {
            "sdf": {
                "mlp": {"inside_out": True},
                "encoding": {"coarse2fine": {"init_active_level": 8}},
            }
        },
        "render": {"num_samples": {"background": 0}},
    },
}


def test_generated_config_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(GENERATED))
    config = merging.merge("preview", path, iterations=700)
    assert config.max_iter == 700
    assert config.data.train.image_size == (360, 480)
    assert config.model.object.sdf.mlp.inside_out and config.model.appear_embed.enabled
    assert not config.model.background.enabled
    assert config.model.object.sdf.encoding.coarse2fine.init_active_level == 8


def test_overrides_win_and_text_is_parsed(tmp_path: Path) -> None:
    overrides = {"optim.params.lr": "1e-3", "model": {"render": {"rand_rays": "99"}},
                 "optim.sched.two_steps": "[1000, 2000]"}  # fmt: skip
    config = merging.merge("preview", None, overrides)
    assert config.optim.params.lr == 1e-3 and config.model.render.rand_rays == 99
    assert config.optim.sched.two_steps == (1000.0, 2000.0)


def test_all_problems_are_reported_together_with_the_nearest_names(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        yaml.safe_dump({"model": {"render": {"rand_ray": 4}}, "optim": {"typ": "Adam"}})
    )
    with pytest.raises(ConfigError) as caught:
        merging.merge("previw", path, {"model.object.sdf.gradient.taps": "many"})
    text = caught.value.detail
    assert "nearest: `preview`" in text
    assert "`model.render.rand_ray`, nearest: `model.render.rand_rays`" in text
    assert "`optim.typ`, nearest: `optim.type`" in text
    assert "taps` can not be 'many': expected int" in text


def test_meaningless_values_and_readjust_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not usable") as caught:
        merging.merge("preview", None, {"model.object.sdf.gradient.taps": 5, "optim.type": "SGD"})
    assert "taps must be 4 or 6" in caught.value.detail and "optim.type" in caught.value.detail
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"data": {"readjust": {"center": [0, 0, 0], "scale": 0.5}}}))
    with pytest.raises(ConfigError, match="readjust"):
        merging.merge("preview", path)


def test_settings_survive_the_run_file(tmp_path: Path) -> None:
    config = merging.merge("preview", None, {"data.train.image_size": [20, 30]})
    write_tree(tmp_path / "config.yaml", to_mapping(config))
    tree = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert tree["model"]["object"]["sdf"]["gradient"] == {"mode": "numerical", "taps": 4}
    assert merging.from_mapping(tree) == config


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("iterations", [100, 1000, 20_000, 500_000])
def test_every_run_activates_all_levels_and_leaves_warm_up(preset: str, iterations: int) -> None:
    """Defect A5-14: with 1,000 iterations upstream's levels and rate never got going."""
    config = merging.merge(preset, None, iterations=iterations)
    schedule = Schedule(config)
    levels = config.model.object.sdf.encoding.levels
    assert schedule.active_levels(0) < levels
    shaping = schedule.shape_iterations
    assert schedule.active_levels(round(0.7 * shaping)) == levels
    rates = [schedule.rate(round(share * (shaping - 1))) for share in (0.0, 0.3, 0.7, 0.95)]
    assert rates[0] < 1.0 and rates[1] == 1.0 and rates[1] > rates[2] > rates[3] > 0
    counts = [schedule.active_levels(i) for i in range(0, iterations, max(1, iterations // 50))]
    assert counts == sorted(counts)


def test_sharpness_ends_alike_but_stays_soft_for_longer_without_points() -> None:
    schedule = Schedule(merging.merge("preview", None, iterations=1000))
    guided = [schedule.sharpness_floor(i) for i in range(0, 1001, 50)]
    alone = [schedule.sharpness_floor(i, guided=False) for i in range(0, 1001, 50)]
    assert guided == sorted(guided) and alone == sorted(alone)
    assert all(soft <= sharp + 1e-9 for soft, sharp in zip(alone, guided, strict=True))
    assert alone[-1] == guided[-1] > guided[0] == alone[0]


def test_colours_begin_again_at_the_full_rate_when_the_shape_stands() -> None:
    schedule = Schedule(merging.merge("preview", None, iterations=100))
    assert not schedule.shape_stands(49) and schedule.shape_stands(50)
    rates = [schedule.rate(iteration) for iteration in range(50, 100)]
    assert rates[0] == 1.0 and rates == sorted(rates, reverse=True) and rates[-1] < 0.05
    whole = Schedule(merging.merge("full", None, iterations=100))
    assert not whole.shape_stands(99)


def test_a_shape_that_dense_points_show_takes_fewer_iterations() -> None:
    config = merging.merge("preview", None, iterations=100)
    held = Schedule(config, is_held=True)
    assert not held.shape_stands(29) and held.shape_stands(30)
    assert "colours only from 30" in held.describe()
    full = merging.merge("full", None, iterations=100)
    assert not Schedule(full, is_held=True).shape_stands(99)


def images(scene_type: str, count: int = 20, exposure: bool = False) -> PreparedImages:
    return PreparedImages("scenes/lego", count, 640, 480, scene_type, exposure)


@pytest.mark.parametrize(
    ("scene_type", "inside_out", "level", "background"),
    [("outdoor", False, 8, True), ("indoor", True, 8, False), ("object", False, 4, True)],
)
def test_the_configuration_follows_the_scene_type(
    scene_type: str, inside_out: bool, level: int, background: bool
) -> None:
    made = scene_config(images(scene_type))
    sdf = made["model"]["object"]["sdf"]
    assert sdf["mlp"]["inside_out"] is inside_out
    assert sdf["encoding"]["coarse2fine"]["init_active_level"] == level
    assert ("background" not in made["model"]) is background
    assert made["data"]["train"] == {"image_size": [480, 640]}
    assert made["data"]["val"] == {"image_size": [300, 400]}
    assert "num_images" not in made["data"]


def test_varying_exposure_and_tiny_sets() -> None:
    made = scene_config(images("object", count=3, exposure=True))
    assert made["model"]["appear_embed"] == {"enabled": True, "dim": 8}
    assert made["data"]["num_images"] == 3
    assert made["data"]["val"]["subset"] == 3
