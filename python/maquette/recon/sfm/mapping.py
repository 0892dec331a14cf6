"""From verified matches to a model: incremental or global, and models joined into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import hush, pycolmap
from maquette.scene.events import Progress

MAX_ERROR_PX = 2.0
SNAPSHOT_FRAMES = 50
TRACKS_PER_IMAGE = 400  # at most, where all are solved at once: its memory grows with them
_FILTER_ERROR_PX = 4.0
_FILTER_ANGLE_DEG = 1.5


@dataclass(frozen=True)
class MappingOptions:
    """Which intrinsics are adjusted, and the seed.

    Attributes:
        intrinsics_known: Focal length and distortion stay as given.
        refine_principal_point: The principal point may move.
    """

    intrinsics_known: bool = False
    refine_principal_point: bool = False
    seed: int = 0


@dataclass(frozen=True, order=True)
class Quality:
    """How good a model is; a larger one is better (more images, then a smaller error)."""

    registered: int
    negative_error_px: float
    images: int
    points: int
    track_length: float

    @property
    def ratio(self) -> float:
        """Share of the images that have a pose."""
        return self.registered / max(self.images, 1)

    @property
    def error_px(self) -> float:
        """Mean reprojection error."""
        return -self.negative_error_px

    def passes(self, min_registered: float) -> bool:
        """Whether the model passes the registration gate."""
        return self.ratio >= min_registered and self.points > 0 and self.error_px <= MAX_ERROR_PX


def quality_of(model: Any, images: int) -> Quality:
    """Measure a model made from `images` pictures."""
    if model is None or model.num_points3D() == 0:
        return Quality(0, -float("inf"), images, 0, 0.0)
    return Quality(
        registered=model.num_reg_images(),
        negative_error_px=-model.compute_mean_reprojection_error(),
        images=images,
        points=model.num_points3D(),
        track_length=model.compute_mean_track_length(),
    )


@dataclass(frozen=True)
class Going:
    """How a long incremental mapping goes on after a kill.

    Attributes:
        snapshots: Where it leaves its model now and then; None: nowhere.
        begun: The model to go on from; None: from nothing.
        names: The pictures to map; none: all of the database.
        tidy: Called at each picture; drops old snapshots.
    """

    snapshots: Path | None = None
    begun: Path | None = None
    names: tuple[str, ...] = ()
    tidy: Callable[[], None] = lambda: None


def map_incrementally(
    database: Path, pictures: Path, work: Path, options: MappingOptions, progress: Progress,
    going: Going = Going(),
) -> list[Any]:  # fmt: skip
    """Grow models picture by picture; the largest first.

    Known intrinsics are kept as given; otherwise focal length and distortion are refined.
    """
    total = len(going.names) or len(colmap.image_names(database))
    seen = [pycolmap.Reconstruction(going.begun).num_reg_images() if going.begun else 0]

    def count() -> None:
        seen[0] = min(seen[0] + 1, total)
        going.tidy()
        progress.step("poses", seen[0], total)

    chosen = mapper_options(options, total)
    chosen.image_names = list(going.names)
    if going.snapshots:
        chosen.snapshot_path, chosen.snapshot_frames_freq = going.snapshots, SNAPSHOT_FRAMES
    models = pycolmap.incremental_mapping(
        database, pictures, work, chosen, going.begun or "", next_image_callback=count
    )
    return by_size(models)


def mapper_options(options: MappingOptions, total: int) -> pycolmap.IncrementalPipelineOptions:
    """Translate the options to COLMAP's."""
    chosen = pycolmap.IncrementalPipelineOptions()
    chosen.random_seed = chosen.mapper.random_seed = chosen.triangulation.random_seed = options.seed
    chosen.num_threads = colmap.threads()
    chosen.min_model_size = max(3, min(10, total // 4))
    free = not options.intrinsics_known
    chosen.ba_refine_focal_length = chosen.ba_refine_extra_params = free
    chosen.mapper.abs_pose_refine_focal_length = chosen.mapper.abs_pose_refine_extra_params = free
    chosen.ba_refine_principal_point = options.refine_principal_point
    return chosen


def calibrate(database: Path) -> None:
    """Estimate focal lengths from the matches of a database, which is changed."""
    pycolmap.calibrate_view_graph(database, pycolmap.ViewGraphCalibrationOptions())


def map_globally(
    database: Path, pictures: Path, work: Path, options: MappingOptions, most_tracks: int = 0
) -> list[Any]:
    """Solve for all poses at once, which survives weak links that stop the incremental mapper.

    Args:
        database: Where focal lengths, if they are unknown, are estimated already (`calibrate`).
        most_tracks: Tracks that are used at most; 0: all.
    """
    models = pycolmap.global_mapping(database, pictures, work, global_options(options, most_tracks))
    return by_size(models)


def by_size(models: dict[int, Any]) -> list[Any]:
    """The models of a mapper, the largest first."""
    return sorted(models.values(), key=lambda model: -model.num_reg_images())


def global_options(options: MappingOptions, most_tracks: int = 0) -> pycolmap.GlobalPipelineOptions:
    """Translate the options to COLMAP's; `most_tracks` as for `map_globally`."""
    chosen = pycolmap.GlobalPipelineOptions()
    chosen.random_seed = chosen.mapper.random_seed = options.seed
    chosen.num_threads = chosen.mapper.num_threads = colmap.threads()
    chosen.mapper.global_positioning.use_gpu = False
    chosen.mapper.bundle_adjustment.ceres.use_gpu = False
    chosen.mapper.bundle_adjustment.refine_principal_point = options.refine_principal_point
    if most_tracks:
        chosen.mapper.keep_max_num_tracks = most_tracks
    return chosen


def join(
    models: list[Any], database: Path, pictures: Path, work: Path, options: MappingOptions
) -> Any | None:
    """Join models that share pictures: align poses, triangulate anew, adjust everything.

    Returns:
        The joined model, or None if none of the smaller ones fits the largest.
    """
    largest, poses = models[0], _poses(models[0])
    cameras = {image.camera_id: image.camera for image in largest.images.values()}
    for model in models[1:]:
        similarity = pycolmap.align_reconstructions_via_reprojections(model, largest)
        if similarity is None:
            continue
        model.transform(similarity)
        poses = _poses(model) | poses
        cameras = {image.camera_id: image.camera for image in model.images.values()} | cameras
    if len(poses) == largest.num_reg_images():
        return None
    joined = pycolmap.Reconstruction()
    for camera in cameras.values():
        joined.add_camera_with_trivial_rig(camera)
    for image_id, (name, camera_id, pose) in poses.items():
        image = pycolmap.Image(name=name, camera_id=camera_id, image_id=image_id)
        joined.add_image_with_trivial_frame(image, pose)
    work.mkdir(parents=True, exist_ok=True)
    joined = pycolmap.triangulate_points(joined, database, pictures, work, clear_points=True)
    adjust(joined, options)
    return joined


def adjust(model: Any, options: MappingOptions) -> None:
    """Adjust poses, points and free intrinsics together, dropping bad points around it."""
    chosen = pycolmap.BundleAdjustmentOptions()
    chosen.print_summary = False
    chosen.refine_focal_length = chosen.refine_extra_params = not options.intrinsics_known
    chosen.refine_principal_point = options.refine_principal_point
    for _ in range(2):
        pycolmap.bundle_adjustment(model, chosen)
        hush()
        manager = pycolmap.ObservationManager(model)
        manager.filter_all_points3D(_FILTER_ERROR_PX, _FILTER_ANGLE_DEG)
    model.update_point_3d_errors()


def _poses(model: Any) -> dict[int, tuple[str, int, Any]]:
    return {
        image_id: (image.name, image.camera_id, image.cam_from_world())
        for image_id, image in model.images.items()
        if image.has_pose
    }
