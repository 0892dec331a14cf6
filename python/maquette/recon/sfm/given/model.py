"""A COLMAP model of given poses: points are found anew from this scene's own matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from maquette.errors import BadInput
from maquette.recon.sfm import colmap, mapping
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.given.cameras import Given, GivenCamera, Lens
from maquette.recon.sfm.mapping import MappingOptions

_ENOUGH_POINTS = 10.0  # for each picture: poses that do not fit let hardly any point stand


def by_picture(given: Given, originals: Mapping[str, str]) -> dict[str, GivenCamera]:
    """The camera of each picture.

    Args:
        originals: The photo's name in `input/` by the picture's; folders may stand before it.

    Raises:
        BadInput: the poses are of other pictures.
    """
    called: dict[str, GivenCamera] = {}
    for camera in given.cameras:
        parts = [part for part in PurePosixPath(camera.picture).parts if part not in (".", "..")]
        for depth in range(len(parts), 0, -1):
            name = "_".join(parts[-depth:]).casefold()
            called.setdefault(name, camera)
            called.setdefault(PurePosixPath(name).stem, camera)
    found = {}
    for picture, original in originals.items():
        name = original.casefold()
        match = called.get(name) or called.get(PurePosixPath(name).stem)
        if match is not None:
            found[picture] = match
    if len(found) < 3:
        raise BadInput(
            f"the poses of `{given.file}` are of other pictures: {len(found)} of "
            f"{len(originals)} names are the same",
            detail=f"it names e.g. `{given.cameras[0].picture}`"
            if given.cameras
            else "it is empty",
            hint="give the pictures that it names, or leave it out with POSES=find",
        )
    return found


def build(
    cameras: Mapping[str, GivenCamera], ids: Mapping[str, int], sizes: Mapping[str, tuple[int, int]]
) -> Any:
    """Cameras and poses, without points.

    Args:
        ids: Each picture's number in the database.
        sizes: Width and height of each picture.
    """
    model, known = pycolmap.Reconstruction(), dict[Lens, int]()
    for picture, given in sorted(cameras.items()):
        lens = given.lens.scaled(*sizes[picture])
        if lens not in known:
            known[lens] = len(known) + 1
            camera = pycolmap.Camera.create_from_model_name(
                known[lens], lens.model, 1.0, lens.width, lens.height
            )
            camera.params = list(lens.params)
            camera.has_prior_focal_length = lens.is_known
            model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=picture, camera_id=known[lens], image_id=ids[picture])
        pose = pycolmap.Rigid3d(given.cam_from_world[:3])
        model.add_image_with_trivial_frame(image, pose)
    return model


def database_of(model: Any, source: Path, target: Path) -> None:
    """A copy of a database with the cameras of the model: features and matches stay."""
    colmap.create(target)
    with colmap.opened(source) as reader, colmap.opened(target) as writer:
        for camera in model.cameras.values():
            writer.write_camera(camera, use_camera_id=True)
        for rig in model.rigs.values():
            writer.write_rig(rig, use_rig_id=True)
        for image in model.images.values():
            number = image.image_id
            bare = pycolmap.Image(name=image.name, camera_id=image.camera_id, image_id=number)
            writer.write_image(bare, use_image_id=True)
            writer.write_keypoints(number, reader.read_keypoints(number))
            writer.write_descriptors(number, reader.read_descriptors(number))
        for frame in model.frames.values():
            writer.write_frame(frame, use_frame_id=True)
        for pair, geometry in zip(*reader.read_two_view_geometries(), strict=True):
            one, other = pycolmap.pair_id_to_image_pair(pair)
            if one in model.images and other in model.images:
                writer.write_matches(one, other, reader.read_matches(one, other))
                writer.write_two_view_geometry(one, other, geometry)
    colmap.settle(target)


def triangulate(
    model: Any, database: Path, pictures: Path, work: Path, options: MappingOptions, refine: bool
) -> Any:
    """Find points by the matches; with `refine`, adjust poses and lenses to them.

    Raises:
        BadInput: hardly any match agrees with the poses.
    """
    work.mkdir(parents=True)
    images = model.num_reg_images()
    found = pycolmap.triangulate_points(model, database, pictures, work, clear_points=True)
    if refine:
        mapping.adjust(found, options)
    if found.num_points3D() < _ENOUGH_POINTS * images:
        raise BadInput(
            f"the given poses do not fit the pictures: {found.num_points3D()} points agree with "
            f"{images} of them",
            hint="POSES=refine adjusts poses that are nearly right, POSES=find finds new ones",
        )
    return found


def needs_refining(cameras: Sequence[GivenCamera]) -> bool:
    """Whether a lens is only a rule of thumb."""
    return not all(camera.lens.is_known for camera in cameras)
