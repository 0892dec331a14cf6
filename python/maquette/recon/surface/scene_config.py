"""The part of the training configuration that a scene decides, in Neuralangelo's form."""

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
class PreparedImages:
    """What the configuration depends on."""

    root: str
    count: int
    width: int
    height: int
    scene_type: str
    auto_exposure_wb: bool
    val_short_size: int = 300


def scene_config(images: PreparedImages) -> dict[str, Any]:
    """Build the mapping that `config.yaml` holds."""
    inside_out, level, background = _BY_SCENE_TYPE[images.scene_type]
    model: dict[str, Any] = {
        "appear_embed": {"enabled": images.auto_exposure_wb},
        "object": {
            "sdf": {
                "mlp": {"inside_out": inside_out},
                "encoding": {"coarse2fine": {"init_active_level": level}},
            }
        },
    }
    if images.auto_exposure_wb:
        model["appear_embed"]["dim"] = 8
    if not background:
        model["background"] = {"enabled": False}
        model["render"] = {"num_samples": {"background": 0}}
    return {"_parent_": _PARENT, "data": _data(images), "model": model}


def _data(images: PreparedImages) -> dict[str, Any]:
    scale = images.val_short_size / min(images.width, images.height)
    val: dict[str, Any] = {
        "image_size": [round(side * scale) for side in (images.height, images.width)]
    }
    if images.count < _VALIDATION_SUBSET:
        val["subset"] = images.count
    data: dict[str, Any] = {
        "type": "projects.neuralangelo.data",
        "root": images.root,
        "readjust": {"center": [0.0, 0.0, 0.0], "scale": 1.0},
        "train": {"image_size": [images.height, images.width]},
        "val": val,
    }
    if images.auto_exposure_wb:
        data["num_images"] = images.count
    return data
