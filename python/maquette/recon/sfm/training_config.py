"""The generated training settings, in Neuralangelo's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_PARENT = "projects/neuralangelo/configs/base.yaml"
_VALIDATION_SUBSET = 4
# scene type -> (inside_out, init_active_level, background)
_BY_SCENE_TYPE = {
    "outdoor": (False, 8, True),
    "indoor": (True, 8, False),
    "object": (False, 4, True),
}


@dataclass(frozen=True)
class DatasetFacts:
    """What the settings depend on."""

    root: str
    images: int
    width: int
    height: int
    scene_type: str
    auto_exposure_wb: bool
    val_short_size: int = 300


def settings(facts: DatasetFacts) -> dict[str, Any]:
    """Build the mapping that `config.yaml` holds."""
    inside_out, level, background = _BY_SCENE_TYPE[facts.scene_type]
    model: dict[str, Any] = {
        "appear_embed": {"enabled": facts.auto_exposure_wb},
        "object": {
            "sdf": {
                "mlp": {"inside_out": inside_out},
                "encoding": {"coarse2fine": {"init_active_level": level}},
            }
        },
    }
    if facts.auto_exposure_wb:
        model["appear_embed"]["dim"] = 8
    if not background:
        model["background"] = {"enabled": False}
        model["render"] = {"num_samples": {"background": 0}}
    return {"_parent_": _PARENT, "data": _data(facts), "model": model}


def _data(facts: DatasetFacts) -> dict[str, Any]:
    scale = facts.val_short_size / min(facts.width, facts.height)
    val: dict[str, Any] = {"image_size": [round(facts.height * scale), round(facts.width * scale)]}
    if facts.images < _VALIDATION_SUBSET:
        val["subset"] = facts.images
    data: dict[str, Any] = {
        "type": "projects.neuralangelo.data",
        "root": facts.root,
        "readjust": {"center": [0.0, 0.0, 0.0], "scale": 1.0},
        "train": {"image_size": [facts.height, facts.width]},
        "val": val,
    }
    if facts.auto_exposure_wb:
        data["num_images"] = facts.images
    return data
