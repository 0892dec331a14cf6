"""SIFT features of every picture into a COLMAP database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from maquette.errors import BadInput, ConfigError
from maquette.recon.sfm import engine
from maquette.recon.sfm.cameras import check_model, check_parameters, group_by_camera
from maquette.recon.sfm.engine import pycolmap
from maquette.scene.events import Progress
from maquette.scene.options import PrepareOptions

MAX_SIDE_PX = 1600
_SMALL_SIDE_PX = 1200  # below this, doubling the picture finds the features that matter
_SMALL_PEAK_THRESHOLD = 1 / 300  # half of COLMAP's: small pictures have few strong features
_BATCH = 4


@dataclass(frozen=True)
class Effort:
    """How hard to look for features; `thorough` is the fallback for faint or few ones."""

    max_features: int
    thorough: bool = False

    @classmethod
    def usual(cls, images: int) -> Effort:
        """Fewer features each when there are many images: matching costs their product."""
        return cls(8192 if images <= 60 else 6000 if images <= 150 else 4096)

    @classmethod
    def high(cls) -> Effort:
        """Faint, small and slanted features too; several times slower."""
        return cls(12288, thorough=True)


def extract(
    database: Path,
    folder: Path,
    names: Sequence[str],
    options: PrepareOptions,
    effort: Effort,
    masks: Path | None,
    progress: Progress,
) -> None:
    """Register `names` of `folder` in a new `database`, by name, and find their features.

    Raises:
        ConfigError: camera model or parameters do not fit.
        BadInput: no picture shows any feature.
    """
    groups = group_by_camera(folder, names)
    numbers = check_parameters(check_model(options.camera_model), options.camera_params)
    if numbers and len(groups) > 1:
        raise ConfigError(
            f"CAMERA_PARAMS describes one camera, the pictures come from {len(groups)}",
            hint="leave CAMERA_PARAMS empty, or prepare each camera's pictures alone",
        )
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = options.camera_model
    reader.camera_params = ",".join(map(repr, numbers))
    if masks:
        reader.mask_path = masks
    engine.create(database)
    pycolmap.set_random_seed(options.seed)
    for group in groups:  # ids follow the names, not the order in which threads finish
        pycolmap.import_images(database, folder, pycolmap.CameraMode.SINGLE, group, reader)
    done = 0
    for group in groups:
        search = _search(folder / group[0], effort)
        for start in range(0, len(group), _BATCH):
            batch = group[start : start + _BATCH]
            pycolmap.extract_features(
                database,
                folder,
                batch,
                pycolmap.CameraMode.SINGLE,
                reader,
                search,
                pycolmap.Device.cpu,
            )
            done += len(batch)
            progress.step("features", done, len(names))
    _require_some(database)


def counts(database: Path) -> dict[str, float | int]:
    """How many images, cameras and features a database holds."""
    with engine.opened(database) as handle:
        images, features = handle.num_images(), handle.num_keypoints()
        known = sum(camera.has_prior_focal_length for camera in handle.read_all_cameras())
        return {
            "images": images,
            "cameras": handle.num_cameras(),
            "cameras_with_known_focal": known,
            "features": features,
            "features_per_image": round(features / max(images, 1), 1),
        }


def _search(first: Path, effort: Effort) -> pycolmap.FeatureExtractionOptions:
    with Image.open(first) as image:
        side_px = max(image.size)
    search = pycolmap.FeatureExtractionOptions()
    search.type = pycolmap.FeatureExtractorType.SIFT
    search.use_gpu = False
    search.num_threads = engine.threads()
    search.max_image_size = MAX_SIDE_PX
    search.sift.max_num_features = effort.max_features
    if side_px < _SMALL_SIDE_PX:
        search.sift.peak_threshold = _SMALL_PEAK_THRESHOLD
    search.sift.first_octave = -1 if side_px < _SMALL_SIDE_PX or effort.thorough else 0
    if effort.thorough:
        search.sift.peak_threshold = 0.002
        search.sift.estimate_affine_shape = True
        search.sift.domain_size_pooling = True
    return search


def _require_some(database: Path) -> None:
    if counts(database)["features"] == 0:
        raise BadInput(
            "none of the pictures shows any detail to follow",
            hint="blank, black or blurred pictures can not be used: film again in better light",
        )
