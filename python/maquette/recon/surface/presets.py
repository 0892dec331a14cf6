"""Named sets of configuration values: how much to compute."""

from __future__ import annotations

from typing import Any

import torch

# Values differ from config.py's defaults, which are Neuralangelo's.
PREVIEW: dict[str, Any] = {
    "model.object.s_var.anneal_end": 350_000,
    "model.object.s_var.final_val": 0.62,
    "model.object.sdf.mlp.hidden_dim": 32,
    "model.object.sdf.encoding.levels": 8,
    "model.object.sdf.encoding.hashgrid.min_logres": 4,
    "model.object.sdf.encoding.hashgrid.max_logres": 9,
    "model.object.sdf.encoding.hashgrid.dict_size": 18,
    "model.object.sdf.encoding.hashgrid.dim": 2,
    "model.object.rgb.encoding.levels": 8,
    "model.object.rgb.encoding.hashgrid.dict_size": 18,
    "model.object.sdf.encoding.coarse2fine.step": 30_000,
    "model.object.rgb.mlp.hidden_dim": 48,
    "model.background.mlp.hidden_dim": 32,
    "model.background.encoding.levels": 6,
    "model.background.encoding.hashgrid.max_logres": 8,
    "model.background.encoding.hashgrid.dim": 4,
    "model.background.encoding.hashgrid.dict_size": 16,
    "trainer.loss_weight.curvature": 2e-4,
    "trainer.loss_weight.eikonal": 0.03,
    "trainer.loss_weight.landmark": 1.0,
    "model.render.rand_rays": 3072,
    "model.render.num_sample_hierarchy": 2,
    "model.render.num_samples.coarse": 6,
    "model.render.num_samples.fine": 14,
    "model.render.num_samples.background": 6,
    "model.render.num_samples.shaded": 6,
    "model.render.cache_resolution": 80,
    "optim.params.lr": 5e-3,
    "optim.params.lr_encoding": 2e-2,
    "optim.sched.warm_up_end": 10_000,
    "optim.sched.gamma": 4.0,
    "optim.sched.shape_share": 0.5,
}
STANDARD: dict[str, Any] = {
    "model.object.s_var.anneal_end": 350_000,
    "model.object.s_var.final_val": 0.62,
    "model.object.sdf.encoding.levels": 12,
    "model.object.sdf.encoding.hashgrid.min_logres": 4,
    "model.object.sdf.encoding.hashgrid.max_logres": 10,
    "model.object.sdf.encoding.hashgrid.dict_size": 20,
    "model.object.sdf.encoding.hashgrid.dim": 4,
    "model.object.sdf.encoding.coarse2fine.step": 20_000,
    "model.object.rgb.encoding.levels": 10,
    "model.object.rgb.encoding.hashgrid.max_logres": 11,
    "model.object.rgb.encoding.hashgrid.dict_size": 20,
    "model.background.encoding.hashgrid.max_logres": 10,
    "model.background.encoding.hashgrid.dict_size": 19,
    "trainer.loss_weight.curvature": 2e-4,
    "trainer.loss_weight.eikonal": 0.03,
    "trainer.loss_weight.landmark": 1.0,
    "model.render.rand_rays": 4096,
    "model.render.num_sample_hierarchy": 2,
    "model.render.num_samples.coarse": 12,
    "model.render.num_samples.fine": 24,
    "model.render.num_samples.background": 16,
    "model.render.num_samples.shaded": 8,
    "optim.params.lr": 3e-3,
    "optim.params.lr_encoding": 2e-2,
    "optim.sched.warm_up_end": 10_000,
    "optim.sched.gamma": 4.0,
    "optim.sched.shape_share": 0.6,
}
FULL: dict[str, Any] = {
    "model.object.s_var.anneal_end": 350_000,
    "model.object.s_var.final_val": 0.58,
    "model.object.sdf.mlp.hidden_dim": 128,
    "model.object.rgb.mlp.hidden_dim": 128,
    "model.object.rgb.mlp.num_layers": 3,
    "model.render.rand_rays": 4096,
    "model.render.num_samples.coarse": 32,
    "model.render.num_samples.fine": 32,
    "model.render.cache_resolution": 192,
}
# Upstream's advice for smaller GPUs; the name says whose memory it is meant for.
_GRID = "model.object.sdf.encoding.hashgrid"
PRESETS = {
    "preview": PREVIEW,
    "standard": STANDARD,
    "full-8gb": FULL | {f"{_GRID}.dict_size": 20, f"{_GRID}.dim": 4},
    "full-12gb": FULL | {f"{_GRID}.dict_size": 21, f"{_GRID}.dim": 4},
    "full-16gb": FULL | {f"{_GRID}.dict_size": 21},
    "full": FULL,
}


def resolved(preset: str, gpus: int = 1) -> str:
    """The preset's name, with `auto` decided by the machine and by how much of it may be used.

    Args:
        gpus: How many GPUs training may use; 0: none, also where there are some.
    """
    if preset != "auto":
        return preset
    return "standard" if gpus and torch.cuda.is_available() else "preview"
