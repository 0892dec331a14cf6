"""The smallest model that trains as the others do."""

from __future__ import annotations

TINY = "OVERRIDES=" + " ".join(
    (
        "model.object.sdf.encoding.levels=3",
        "model.object.sdf.encoding.hashgrid.dict_size=10",
        "model.object.sdf.mlp.hidden_dim=16",
        "model.render.rand_rays=64",
        "model.render.cache_resolution=16",
        "model.background.encoding.levels=2",
        "data.val.subset=1",
    )
)
LARGE = TINY.replace("dict_size=10", "dict_size=16")  # checkpoints of 43 MB
