"""The tensors inside a checkpoint: what is saved, how it is read, when it does not fit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maquette.errors import BadInput, MaquetteError, NotFound
from maquette.recon.surface import merging
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.model import SurfaceModel
from maquette.scene import checkpoints
from maquette.scene.atomic import replacing
from maquette.scene.region import Region

FORMAT = 2
_START_AFRESH = "FRESH=1 starts a new run and keeps the old one under another name"
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


def save(run: Path, state: dict[str, Any], keep: int) -> Path:
    """Write a checkpoint, then the pointer, then prune: never fewer whole files than before."""
    path = run / checkpoints.checkpoint_name(state["epoch"], state["iteration"])
    with replacing(path) as temporary:
        _write(state, temporary)
    checkpoints.write_pointer(run, path.name)
    for old in checkpoints.listed(run)[keep:]:
        if old.name not in state["finals"] and old != path:
            old.unlink(missing_ok=True)
    return path


def _write(state: dict[str, Any], path: Path) -> None:
    try:
        with open(path, "wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch hides that the disk is full
            raise error.__context__ from None
        raise


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; only tensors and plain values are accepted.

    Raises:
        NotFound, BadInput.
    """
    if not path.is_file():
        raise NotFound(f"no checkpoint `{path}`", hint="run `make process` first")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MaquetteError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise BadInput(f"the checkpoint is damaged: `{path}`", detail=str(error)[:300],
                       hint=_START_AFRESH) from error  # fmt: skip
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise BadInput(f"not a checkpoint of the native engine: `{path}`", hint=_START_AFRESH)
    return state


def check_fits(state: dict[str, Any], region: Region, config: TrainingConfig, images: int) -> None:
    """Refuse to continue a run that was trained in another region or with another network.

    Raises:
        BadInput: it does not fit; says how.
    """
    if state["region"]["digest"] != region.digest:
        trained = region_of(state)
        raise BadInput(
            "the region was changed after training: the checkpoint no longer fits it",
            detail=f"trained: center {trained.center}, radius {trained.radius:g}; "
            f"now: center {region.center}, radius {region.radius:g}",
            hint=_START_AFRESH,
        )
    before, now = architecture(merging.from_mapping(state["settings"])), architecture(config)
    changed = [f"{key}: {before[key]} -> {now[key]}" for key in now if before.get(key) != now[key]]
    if config.model.appear_embed.enabled and state["images"] != images:
        changed.append(f"training images: {state['images']} -> {images}")
    if changed:
        raise BadInput(
            "the network's settings differ from those of the checkpoint",
            detail="\n".join(changed),
            hint=_START_AFRESH,
        )


def architecture(config: TrainingConfig) -> dict[str, Any]:
    """The values that decide the shape and meaning of the parameters, flat."""
    flat = merging.flatten(merging.to_mapping(config))
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
        "box": [list(limits) for limits in region.box], "digest": region.digest,
    }  # fmt: skip


def random_state(sampler: torch.Generator) -> dict[str, Any]:
    """The state of every random generator in the process, and of the run's own."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "sampler": sampler.get_state(),
        "torch": torch.get_rng_state(),
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(internal), gauss_next],
    }


def restore_random_state(state: dict[str, Any], sampler: torch.Generator) -> None:
    """Undo `random_state`; a sampler of another device keeps its own state."""
    if state["sampler"].shape == sampler.get_state().shape:
        sampler.set_state(state["sampler"])
    torch.set_rng_state(state["torch"])
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
