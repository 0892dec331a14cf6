"""All poses at once, in parts that can be kept: positions, their adjustment, tracks laid anew.

COLMAP finds rotations, tracks and positions in one call; what follows it offers one by one, and is
put together here as its own pipeline does, whose result is the same but for the solver's rounding
(`mapping.map_globally`). Source: Pan et al., "Global Structure-from-Motion Revisited", ECCV 2024,
section 3; differs: a round without outliers is followed by a tighter one at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.recon.sfm import colmap, mapping
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.mapping import MappingOptions

_MAX_ERROR = 0.01  # of an observation, in the camera's plane z = 1
_TIGHTER = (3, 2, 1)  # times that error, round after round
_FEW = 1e-3  # of the points: so few outliers need no further round
_ROUNDS, _CHANGE = 5, 5e-4  # of refinement after laying tracks anew


def position(
    database: Path, pictures: Path, work: Path, options: MappingOptions, most_tracks: int
) -> list[Any]:
    """Find rotations, tracks and positions; the largest model first.

    Args:
        database, most_tracks: As for `mapping.map_globally`.
    """
    chosen = mapping.global_options(options, most_tracks)
    chosen.mapper.skip_bundle_adjustment = chosen.mapper.skip_retriangulation = True
    return mapping.by_size(pycolmap.global_mapping(database, pictures, work, chosen))


def adjust(model: Any, options: MappingOptions) -> None:
    """Adjust all of a model, leaving out more outliers each time."""
    mapper, is_changed = mapping.global_options(options).mapper, True
    for times in _TIGHTER:
        if is_changed:
            _solve(model, mapper, constant_rotations=True)
            _solve(model, mapper)
            model.normalize()
        is_changed = _drop_outliers(model, times) > _FEW * model.num_points3D()
    pycolmap.ObservationManager(model).filter_points3D_with_small_triangulation_angle(
        mapper.min_tri_angle_deg, set(model.points3D)
    )


def retriangulate(model: Any, database: Path, pictures: Path, options: MappingOptions) -> None:
    """Lay all tracks of a model anew from the matches, and adjust it with them."""
    chosen = mapping.global_options(options)
    triangulation = chosen.mapper.get_retriangulation()
    wanted = pycolmap.DatabaseCacheOptions()
    wanted.min_num_matches = chosen.min_num_matches
    with colmap.opened(database) as handle:
        matches = pycolmap.DatabaseCache.create(handle, wanted)
    model.delete_all_points2D_and_points3D()
    mapper = pycolmap.IncrementalMapper(matches)
    mapper.begin_reconstruction(model)
    for image in model.reg_image_ids():
        mapper.triangulate_image(triangulation, image)
    refined = pycolmap.IncrementalMapperOptions()
    refined.random_seed = options.seed
    adjusting = pycolmap.BundleAdjustmentOptions()
    adjusting.print_summary = False
    mapper.iterative_global_refinement(_ROUNDS, _CHANGE, refined, adjusting, triangulation, True)
    mapper.end_reconstruction(False)
    _drop_outliers(model, 1)
    _solve(model, chosen.mapper)
    model.normalize()
    _drop_outliers(model, 1)
    model.extract_colors_for_all_images(pictures)
    model.update_point_3d_errors()


def _solve(model: Any, mapper: Any, constant_rotations: bool = False) -> None:
    chosen = mapper.get_bundle_adjustment()
    chosen.constant_rig_from_world_rotation = constant_rotations
    chosen.print_summary = False
    adjusted = pycolmap.BundleAdjustmentConfig()
    for image in model.reg_image_ids():
        adjusted.add_image(image)
    adjusted.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(chosen, adjusted, model).solve()


def _drop_outliers(model: Any, times: float) -> int:
    """Drop the observations that are off by more than so many times `_MAX_ERROR`."""
    return int(
        pycolmap.ObservationManager(model).filter_points3D_with_large_reprojection_error(
            times * _MAX_ERROR, set(model.points3D), pycolmap.ReprojectionErrorType.NORMALIZED
        )
    )
