"""SIFT features of every picture into a COLMAP database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, ConfigError
from maquette.recon.frames.photos import evenly
from maquette.recon.sfm import colmap, lens
from maquette.recon.sfm.cameras import check_model, check_parameters, group_by_camera
from maquette.recon.sfm.colmap import pycolmap
from maquette.scene.events import Progress

MAX_SIDE_PX = 1600
_ENOUGH = 800  # features a picture; with fewer, doubled pictures and a lower peak are tried
_USUAL_PEAK, _LOW_PEAK, _FAINT_PEAK = 1 / 150, 1 / 300, 1 / 500  # SIFT's contrast threshold
_PROBES = 3
_BATCH = 4


@dataclass(frozen=True)
class FeatureOptions:
    """What is known of the cameras, and the seed.

    Attributes:
        camera_model: COLMAP's name of the lens model.
        camera_params: Known intrinsics in COLMAP's order, separated by commas; empty: unknown.
    """

    camera_model: str = "SIMPLE_RADIAL"
    camera_params: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Effort:
    """How hard to look for features.

    Attributes:
        enlarged: Pictures are doubled, which shows smaller features.
        thorough: Also faint and slanted features.
    """

    max_features: int
    enlarged: bool = False
    thorough: bool = False

    @classmethod
    def usual(cls, images: int) -> Effort:
        """Fewer features each when there are many images: matching costs their product."""
        return cls(8192 if images <= 60 else 6000 if images <= 150 else 4096)

    @classmethod
    def doubled(cls) -> Effort:
        """Smaller features too; four times slower."""
        return cls(8192, enlarged=True)

    @classmethod
    def high(cls) -> Effort:
        """Faint, small and slanted features too; several times slower."""
        return cls(12288, thorough=True)


@dataclass(frozen=True)
class Search:
    """How the features of some pictures of one camera are looked for.

    Attributes:
        names: The pictures.
        first_octave: -1: they are doubled first, which costs four times and pays for plain ones.
        peak_threshold: SIFT's least contrast.
    """

    names: tuple[str, ...]
    max_features: int
    first_octave: int
    peak_threshold: float
    thorough: bool = False

    def of(self, names: Sequence[str]) -> Search:
        """The same for other pictures."""
        return replace(self, names=tuple(names))


def extract(
    database: Path, folder: Path, names: Sequence[str], options: FeatureOptions, effort: Effort,
    masks: Path | None, progress: Progress,
) -> None:  # fmt: skip
    """Register `names` of `folder` in a new `database`, by name, and find their features.

    Raises:
        ConfigError: camera model or parameters do not fit.
        BadInput: no picture shows any feature.
    """
    register(database, folder, names, options)
    find(database, folder, searches(folder, names, options, effort), masks, progress)
    require_some(database)


def register(database: Path, folder: Path, names: Sequence[str], options: FeatureOptions) -> None:
    """Make a database of cameras and images without features, numbered by camera and name.

    Raises:
        ConfigError: camera model or parameters do not fit.
    """
    groups, numbers = _cameras(folder, names, options)
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = options.camera_model
    reader.camera_params = ",".join(map(repr, numbers))
    colmap.create(database)
    pycolmap.set_random_seed(options.seed)
    for group in groups:
        pycolmap.import_images(database, folder, pycolmap.CameraMode.SINGLE, group, reader)
    if not numbers:
        lens.forget_focals(database, only_impossible=True)


def searches(
    folder: Path, names: Sequence[str], options: FeatureOptions, effort: Effort
) -> list[Search]:
    """How to look at the pictures of each camera, which a few of them tell.

    Raises:
        ConfigError: camera model or parameters do not fit.
    """
    return [_search(folder, group, effort) for group in _cameras(folder, names, options)[0]]


def find(
    database: Path, folder: Path, wanted: Sequence[Search], masks: Path | None, progress: Progress,
    threads: int = 0,
) -> None:  # fmt: skip
    """Find features of pictures; what a database does not know yet is registered there.

    Args:
        threads: How many to use; 0: all that there are.
    """
    total, done = sum(len(search.names) for search in wanted), 0
    reader = pycolmap.ImageReaderOptions()
    if masks:
        reader.mask_path = masks
    for search in wanted:
        options = _options(search, threads)
        for start in range(0, len(search.names), _BATCH):
            batch = list(search.names[start : start + _BATCH])
            pycolmap.extract_features(
                database, folder, batch, pycolmap.CameraMode.SINGLE, reader, options,
                pycolmap.Device.cpu,
            )  # fmt: skip
            done += len(batch)
            progress.step("features", done, total)


def _cameras(
    folder: Path, names: Sequence[str], options: FeatureOptions
) -> tuple[list[list[str]], list[float]]:
    """The pictures of each camera, and what is known of the one."""
    groups = group_by_camera(folder, names)
    numbers = check_parameters(check_model(options.camera_model), options.camera_params)
    if numbers and len(groups) > 1:
        raise ConfigError(
            f"CAMERA_PARAMS describes one camera, the pictures come from {len(groups)}",
            hint="leave CAMERA_PARAMS empty, or prepare each camera's pictures alone",
        )
    return groups, numbers


def counts(database: Path) -> dict[str, float | int]:
    """How many images, cameras and features a database holds."""
    with colmap.opened(database) as handle:
        images, features = handle.num_images(), handle.num_keypoints()
        known = sum(camera.has_prior_focal_length for camera in handle.read_all_cameras())
        return {
            "images": images,
            "cameras": handle.num_cameras(),
            "cameras_with_known_focal": known,
            "features": features,
            "features_per_image": round(features / max(images, 1), 1),
        }


def strongest(keypoints: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Positions of the `count` largest features, which are seen again most surely, largest first.

    Args:
        keypoints: COLMAP's columns, [N, 4] (x, y, scale, angle) or [N, 6] (x, y, affine shape).
    """
    affine = keypoints.shape[1] >= 6
    scale = np.hypot(keypoints[:, 2], keypoints[:, 4]) if affine else keypoints[:, 2]
    return np.argsort(-scale, kind="stable")[:count]


def _search(folder: Path, group: Sequence[str], effort: Effort) -> Search:
    """Choose how to look: doubling the pictures costs four times, and pays only for plain ones."""
    pictures, most = tuple(group), effort.max_features
    if effort.thorough:
        return Search(pictures, most, -1, _FAINT_PEAK, thorough=True)
    usual = Search(pictures, most, 0, _USUAL_PEAK)
    if not effort.enlarged and _features_per_picture(folder, usual) >= _ENOUGH:
        return usual
    return Search(pictures, most, -1, _LOW_PEAK)


def _options(search: Search, threads: int) -> Any:
    options = pycolmap.FeatureExtractionOptions()
    options.type = pycolmap.FeatureExtractorType.SIFT
    options.use_gpu = False
    options.num_threads = threads or colmap.threads()
    options.max_image_size = MAX_SIDE_PX
    options.sift.max_num_features = search.max_features
    options.sift.first_octave = search.first_octave
    options.sift.peak_threshold = search.peak_threshold
    if search.thorough:
        options.sift.estimate_affine_shape = options.sift.domain_size_pooling = True
    return options


def _features_per_picture(folder: Path, search: Search) -> float:
    """Try a few pictures, evenly chosen."""
    names = [search.names[index] for index in evenly(len(search.names), _PROBES)]
    with TemporaryDirectory(prefix="maquette-probe-") as place:
        colmap.create(database := Path(place) / "probe.db")
        options, device = _options(search, 0), pycolmap.Device.cpu
        pycolmap.extract_features(
            database, folder, names, extraction_options=options, device=device
        )
        return float(counts(database)["features_per_image"])


def require_some(database: Path) -> None:
    """Refuse pictures of which none shows any feature.

    Raises:
        BadInput: there is none.
    """
    if counts(database)["features"] == 0:
        raise BadInput(
            "none of the pictures shows any detail to follow",
            hint="blank, black or blurred pictures can not be used: film again in better light",
        )
