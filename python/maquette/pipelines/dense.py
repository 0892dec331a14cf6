"""Options of dense stereo and of the mesh made of it, for the pipelines that do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from maquette.pipelines.options import ShardedStepOptions, option
from maquette.pipelines.pipeline import Images
from maquette.pipelines.texture import TextureOptions

Preset = Literal["auto", "preview", "standard"]
Mesher = Literal["auto", "poisson", "tsdf"]
Depth = Literal["patchmatch", "mvsnet"]
Unseen = Literal["drop", "keep", "fill"]

_ASPECT = 0.75
_USUAL_SIDE, _LEAST_SIDE = 1200, 360  # of a map, pixels: at most, and of a preview at least
_THINNED = 24  # photos of which a preview leaves out every other one


@dataclass(frozen=True)
class DenseOptions(ShardedStepOptions):
    """Options of a `process` that makes depth maps and fuses them."""

    is_for_training: ClassVar[bool] = False  # its points are what a training begins with
    gpus: int = 1  # of the machine; 0: the processor alone
    preset: Preset = option(
        "auto", "how much to compute; preview: every other photo at half size; auto: standard"
    )
    depth: Depth = option(
        "patchmatch",
        "what makes depth maps; mvsnet: a network, for photos that stand close together",
    )
    checkpoint: str = option(
        "", "for DEPTH=mvsnet: a file of weights; empty: those of this package", once=True
    )
    dense_size: int = option(
        0, "long side of a depth map; 0: 1200 on a CPU, 2000 on a GPU", low=0, high=16384, unit="px"
    )
    source_views: int = option(
        0, "photos that each is matched with; 0: by PRESET, 6 or 4", low=0, high=8
    )
    sweeps: str = option(
        "", "over a photo at each size, small to full, e.g. '3 3 2'; empty: by PRESET",
        pattern=r"([1-9]( [1-9]){0,4})?",
    )  # fmt: skip
    geometric_sweeps: int = option(
        1, "sweeps with the other photos' depths; 0: depth maps stay as they are", low=0, high=9
    )
    planar_prior: bool = option(
        False, "1: planes through well-matched pixels guide where photos show little texture"
    )
    max_matching_cost: float = option(
        0.9, "1 - correlation, or 1 - a network's confidence, above which a pixel has no depth",
        above=0.0, high=2.0,
    )  # fmt: skip
    min_views: int = option(2, "other photos that must agree with a pixel", low=1, high=8)
    max_reproj_error: float = option(
        1.5, "pixels by which they may miss one another", above=0.0, unit="px"
    )
    max_depth_error: float = option(
        0.01, "relative difference of their depths", above=0.0, high=1.0
    )
    max_normal_error: float = option(
        30.0, "angle between their normals", above=0.0, high=180.0, unit="deg"
    )
    speckle_size: int = option(
        50, "connected pixels of a depth map that are fewer than this go", low=0, unit="px"
    )
    mvsnet_folder: bool = option(
        False, "1: depth maps among the results too, as MVSNet's folder for other programs"
    )
    n_images_per_group: int = option(16, "photos of one shard of the work", low=1, high=1024)


@dataclass(frozen=True)
class TrainingPoints(DenseOptions):
    """Of the quick dense stereo that a training begins with: blind to the photos that judge it.

    Two photos that roughly agree are enough: the field is smooth, and all photos outvote a wrong
    point, but nothing makes up for a missing one (docs/benchmarks.md, "Points to begin with").
    """

    is_for_training: ClassVar[bool] = True
    min_views: int = 1
    max_depth_error: float = 0.02
    max_normal_error: float = 60.0


@dataclass(frozen=True)
class SurfaceOptions(TextureOptions, ShardedStepOptions):
    """Options of an `extract` that makes a textured mesh of them."""

    gpus: int = 1  # of the machine; 0: the processor alone
    mesher: Mesher = option(
        "auto", "how a surface is laid; auto: tsdf, but poisson for UNSEEN=fill"
    )
    resolution: int = option(
        0,
        "cells along the sphere's diameter; 0: one for 1.5 pixels, at most 1024",
        low=0,
        high=8192,
    )
    block_res: int = option(128, "cells along a block; less = less memory", low=8, high=1024)
    unseen: Unseen = option(
        "drop", "surface that fewer than two photos saw; fill: a closed model, grey there"
    )
    long_faces: float = option(
        60.0, "faces with an edge so many times the usual one go; 0: none", low=0.0
    )
    keep_lcc: bool = option(False, "1: keep only the largest part of the whole mesh")
    holes: int = option(40, "edges around the largest hole that is closed; 0: none", low=0)
    smooth: int = option(5, "rounds of smoothing that does not shrink", low=0, high=100)
    denoise: int = option(3, "rounds of smoothing that keeps edges", low=0, high=100)
    faces: int = option(0, "of a smaller copy, `decimated`; 0: none", low=0)
    decimate: float = option(0.0, "the same as a share, e.g. 0.1", low=0.0, high=1.0)
    refine: bool = option(False, "1: move the mesh to where the photos agree on it best")
    refine_rounds: str = option(
        "4", "rounds at each size of the photos, small to full, at most four sizes, e.g. '2 4'",
        pattern=r"[1-9][0-9]?( [1-9][0-9]?){0,3}",
    )  # fmt: skip
    refine_smoothness: float = option(
        0.5, "weight of the surface's curvature beside the photos", low=0.0, high=1000.0
    )
    refine_step: float = option(
        1.0, "the farthest that a vertex moves in a round", above=0.0, high=8.0, unit="px"
    )


# Their stages, in order.
PROCESS_STAGES = (
    ".dense.neighbours",
    ".dense.depthmaps",
    ".dense.consistency",
    ".dense.fuse",
    ".dense.depth_pictures",
    ".dense.mvsnet_folder",
)
EXTRACT_STAGES = (
    ".dense.surface",
    ".dense.filtered",
    ".dense.refined",
    ".dense.texture",
    ".dense.pictures",
    ".dense.laz",
)
RENDERER = "maquette.recon.texture.renderer"
WORKSPACE = {"dense workspace": "dense/{pipeline}/{group}"}


def pixels_of_depth_maps(options: Mapping[str, Any], images: Images) -> float:
    """Millions of pixels of all depth maps."""
    own = (images.megapixels * 1e6 / _ASPECT) ** 0.5  # long side of a photo
    count, side = images.count, min(own, options["dense_size"] or _USUAL_SIDE)
    if options["preset"] == "preview":
        count = count // 2 if count >= _THINNED else count
        if not options["dense_size"]:
            side = min(side, max(0.5 * side, _LEAST_SIDE))
    return count * _ASPECT * side**2 / 1e6
