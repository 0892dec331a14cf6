"""Stages of dense stereo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from maquette.errors import ConfigError, NotFound
from maquette.pipelines.texture import TextureOptions
from maquette.recon.evaluate.surface_files import newest_surface
from maquette.recon.mvs import meshroom_files
from maquette.scene import colmap_model, stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.declaring import deferred, deferred_shards, named, one_gpu
from maquette.stages.stage import DeclaredOptions, Stage

# The meshes of this pipeline, the best first, each with the stage that makes it.
_MESHES = (
    ("refined.ply", "refined"),
    ("smoothed.ply", "filtered"),
    ("filtered.ply", "filtered"),
    ("mesh.ply", "surface"),
)
PATCH_MATCH = "patchmatch"  # of DEPTH; all else is a network
_TEXTURE = tuple(item.name for item in fields(TextureOptions))


def chosen_mesh(scene: Scene) -> Path:
    """The best mesh that a stage of this scene tells of.

    Raises:
        NotFound: there is none.
    """
    for name, stage in _MESHES:
        path, record = scene.results / name, stage_records.read(scene, stage)
        if record and scene.relative(path) in record.outputs and path.is_file():
            return path
    raise NotFound(
        f"there is no mesh to texture in `{scene.name}`",
        hint=f"`make extract PIPELINE={scene.pipeline} MODEL={scene.name}` makes one",
    )


def network_file(scene: Scene, options: DeclaredOptions) -> Path:
    """Where the weights that CHECKPOINT names lie in the scene, so that any machine has them."""
    return scene.dense(options.group) / "network.pt"


def _bring_weights(scene: Scene, options: DeclaredOptions, progress: Progress) -> None:
    if options.depth != PATCH_MATCH:
        deferred(__name__, "depthmaps", "bring")(scene, options, progress)


def _check_weights(scene: Scene, options: DeclaredOptions) -> None:
    if options.depth != PATCH_MATCH:
        deferred(__name__, "depthmaps", "check")(scene, options)


def weight_files(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    """The weights in the scene that CHECKPOINT asks for."""
    chosen = options.depth != PATCH_MATCH and options.checkpoint
    return [network_file(scene, options)] if chosen else []


def _points_of_scene(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    files = [scene.sparse / name for name in colmap_model.FILES]
    missing = [scene.relative(path) for path in files if not path.is_file()]
    if missing:
        raise NotFound(
            f"the scene `{scene.name}` has no points yet: `{missing[0]}`",
            hint=f"`make prepare MODEL={scene.name}` makes them",
        )
    return files


def _check_size(scene: Scene, options: DeclaredOptions) -> None:
    """Refuse two sizes at once.

    Raises:
        ConfigError: FACES and DECIMATE are both given.
    """
    if options.faces and options.decimate:
        raise ConfigError(
            f"FACES={options.faces} and DECIMATE={options.decimate:g} both ask for a size",
            hint="give one of the two",
        )


STAGES = named(
    Stage(
        "neighbours",
        2,
        deferred(__name__, "neighbours"),
        parameters=("group", "preset", "dense_size", "source_views", "sweeps", "min_views"),
        reads=("gpus", "is_for_training"),
        facts=("cameras",),
        files=_points_of_scene,
    ),
    Stage(
        "depthmaps",
        1,
        deferred_shards(__name__, "depthmaps", lists_inputs=True, needs=one_gpu),
        parameters=("group", "seed", "max_matching_cost", "planar_prior"),
        reads=("n_images_per_group", "workers", "gpus"),
        added=("depth", "checkpoint"),
        after=("neighbours",),
        files=weight_files,
        bring=_bring_weights,
        check=_check_weights,
        facts=("cameras", "masks"),
        packages=("torch", "warp-lang"),
        intermediate=("dense/",),
    ),
    Stage(
        "consistency",
        1,
        deferred_shards(__name__, "consistency", lists_inputs=True, needs=one_gpu),
        parameters=("group", "seed", "max_matching_cost", "geometric_sweeps"),
        reads=("n_images_per_group", "workers", "gpus"),
        after=("neighbours", "depthmaps"),
        facts=("cameras", "masks"),
        packages=("torch", "warp-lang"),
        intermediate=("dense/",),
    ),
    Stage(
        "fuse",
        1,
        deferred_shards(__name__, "fuse", lists_inputs=True, needs=one_gpu),
        parameters=(
            "group",
            "min_views",
            "max_reproj_error",
            "max_depth_error",
            "max_normal_error",
            "speckle_size",
        ),
        reads=("n_images_per_group", "workers", "gpus", "is_for_training"),
        after=("neighbours", "consistency"),
        facts=("cameras", "region"),
        packages=("torch", "warp-lang", "scipy"),
    ),
    Stage(
        "depth_pictures",
        1,
        deferred(__name__, "depth_pictures"),
        parameters=("group",),
        after=("neighbours", "fuse"),
        packages=("pillow",),
    ),
    Stage(
        "mvsnet_folder",
        1,
        deferred(__name__, "mvsnet_folder"),
        parameters=("group", "mvsnet_folder"),
        after=("neighbours", "depthmaps"),
        facts=("cameras",),
        packages=("pillow",),
    ),
    Stage(
        "laz",
        1,
        deferred(__name__, "laz"),
        parameters=("group",),
        after=("fuse",),
        facts=("georeference",),
    ),
    Stage(
        "surface",
        1,
        deferred_shards(
            __name__,
            "surface",
            lists_inputs=True,
            cost=lambda item: float(item["points"]),
            needs=one_gpu,
        ),
        parameters=("group", "mesher", "resolution", "block_res", "unseen"),
        reads=("workers", "gpus"),
        after=("fuse",),
        uses=("consistency",),
        facts=("cameras", "region", "masks"),
        packages=("torch", "warp-lang", "scikit-image", "pycolmap", "scipy"),
        keeps_shards=False,
    ),
    Stage(
        "filtered",
        1,
        deferred(__name__, "filtered"),
        parameters=(
            "long_faces",
            "keep_lcc",
            "holes",
            "smooth",
            "denoise",
            "faces",
            "decimate",
        ),
        after=("surface",),
        packages=("scipy",),
        check=_check_size,
    ),
    Stage(
        "refined",
        1,
        deferred(__name__, "refined"),
        parameters=("group", "refine", "refine_rounds", "refine_smoothness", "refine_step"),
        reads=("gpus",),
        after=("neighbours", "filtered"),
        facts=("cameras", "masks"),
        packages=("torch", "warp-lang", "scipy"),
    ),
    Stage(
        "texture",
        1,
        deferred(__name__, "texture"),
        parameters=_TEXTURE,
        facts=("cameras", "masks", "georeference"),
        files=lambda scene, options: (chosen_mesh(scene),),
        packages=("embreex", "pillow", "plyfile", "scipy"),
    ),
    Stage(
        "pictures",
        1,
        deferred(__name__, "pictures"),
        facts=("cameras", "region", "georeference"),
        files=lambda scene, options: (scene.root / newest_surface(scene).path,),
        packages=("embreex", "pillow", "plyfile", "trimesh"),
    ),
    Stage(
        "meshroom",
        1,
        deferred(__name__, "meshroom"),
        parameters=("faces", "decimate"),
        check=_check_size,
        reads=("group",),
        files=lambda scene, options: meshroom_files.input_files(scene, options.group),
        facts=("cameras", "region", "georeference"),
        packages=("pillow", "plyfile", "scipy", "trimesh"),
    ),
)
