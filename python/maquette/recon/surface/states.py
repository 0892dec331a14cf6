"""What the checkpoint of a surface holds, and when it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.recon.surface import merging
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.model import SurfaceModel
from maquette.recon.training import checkpoint_files
from maquette.recon.training.checkpoint_files import START_AFRESH
from maquette.recon.training.configuration import flatten, to_mapping
from maquette.scene.region import Region

FORMAT = 2
_ARCHITECTURE = (
    "model.object.sdf.mlp",
    "model.object.sdf.encoding.levels",
    "model.object.sdf.encoding.hashgrid",
    "model.object.rgb",
    "model.background",
    "model.appear_embed",
    "model.render.cache_resolution",
    "model.render.num_samples.background",
)


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a surface to the CPU.

    Raises:
        NotFound, BadInput.
    """
    return checkpoint_files.read(path, FORMAT)


def check_fits(state: dict[str, Any], region: Region, config: TrainingConfig, images: int) -> None:
    """Refuse to continue a run that was trained in another sphere or with another network.

    Raises:
        BadInput: it does not fit; says how.
    """
    trained = region_of(state)
    if trained.sphere_digest != region.sphere_digest:
        raise BadInput(
            "the region's sphere was changed after training: the checkpoint no longer fits it",
            detail=f"trained: center {trained.center}, radius {trained.radius:g}; "
            f"now: center {region.center}, radius {region.radius:g}",
            hint=START_AFRESH,
        )
    before, now = architecture(merging.from_mapping(state["settings"])), architecture(config)
    changed = [f"{key}: {before[key]} -> {now[key]}" for key in now if before.get(key) != now[key]]
    if config.model.appear_embed.enabled and state["images"] != images:
        changed.append(f"training images: {state['images']} -> {images}")
    if changed:
        raise BadInput(
            "the network's settings differ from those of the checkpoint",
            detail="\n".join(changed),
            hint=START_AFRESH,
        )


def architecture(config: TrainingConfig) -> dict[str, Any]:
    """The values that decide the shape and meaning of the parameters, flat."""
    flat = flatten(to_mapping(config))
    return {key: value for key, value in flat.items() if key.startswith(_ARCHITECTURE)}


def rebuild_model(state: dict[str, Any]) -> SurfaceModel:
    """The model of a checkpoint, on the CPU."""
    model = SurfaceModel(merging.from_mapping(state["settings"]).model, state["images"])
    model.load_state_dict(state["model"])
    return model


def region_of(state: dict[str, Any]) -> Region:
    """The region a checkpoint was trained in."""
    stored = state["region"]
    return Region.around(stored["center"], stored["radius"], stored["box"])


def region_to(region: Region) -> dict[str, Any]:
    """A region as plain values for a checkpoint."""
    return {
        "center": list(region.center), "radius": region.radius,
        "box": [list(limits) for limits in region.box], "digest": region.sphere_digest,
    }  # fmt: skip
