"""Models that share pictures put into one world, and their tracks united."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from maquette.recon.sfm import colmap, mapping
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.mapping import MappingOptions

_LEAST_SHARED = 3  # pictures
_COARSE_PX = 16.0  # before anything is adjusted


def merge(models: list[Any], database: Path, options: MappingOptions) -> list[Any]:
    """Align models by what they share, unite their tracks and adjust everything.

    Returns:
        The merged model, and those that share too little with it as they were.
    """
    placed, left = align(models)
    if len(placed) == 1:
        return [*placed, *left]
    merged = unite(placed, database)
    manager = pycolmap.ObservationManager(merged)
    manager.filter_all_points3D(_COARSE_PX, 0.0)
    mapping.adjust(merged, options)
    return [merged, *left]


def align(models: list[Any]) -> tuple[list[Any], list[Any]]:
    """Move models into the world of the largest, always the one that shares most pictures.

    Returns:
        Those that are in one world now, and the others.
    """
    left = sorted(models, key=lambda model: -model.num_reg_images())
    placed, left = left[:1], left[1:]
    posed = [_posed(placed[0])]
    while left:
        shares = [[len(_posed(model) & one) for one in posed] for model in left]
        order = sorted(range(len(left)), key=lambda number: -max(shares[number]))
        for number in order:
            target = int(np.argmax(shares[number]))
            if shares[number][target] < _LEAST_SHARED:
                continue
            found = _similarity(left[number], placed[target])
            if found is not None:
                model = left.pop(number)
                model.transform(found)
                placed.append(model)
                posed.append(_posed(model))
                break
        else:
            break
    return placed, left


def _similarity(source: Any, target: Any) -> Any | None:
    found = pycolmap.align_reconstructions_via_reprojections(source, target)
    return found or pycolmap.align_reconstructions_via_points(source, target)


def _posed(model: Any) -> frozenset[int]:
    return frozenset(number for number, image in model.images.items() if image.has_pose)


def unite(models: list[Any], database: Path) -> Any:
    """One model of models in one world: a picture's pose is that of the first which has it.

    Tracks that share a feature of a picture are one; of two features in one picture the first
    counts. Lenses are the mean over the models, by their pictures.
    """
    merged = pycolmap.Reconstruction()
    for camera in _cameras(models):
        merged.add_camera_with_trivial_rig(camera)
    posed: dict[int, Any] = {}
    for model in models:
        for number in sorted(_posed(model)):
            posed.setdefault(number, model.images[number])
    with colmap.opened(database) as handle:
        for number, image in sorted(posed.items()):
            places = np.asarray(handle.read_keypoints(number))[:, :2].astype(np.float64)
            bare = pycolmap.Image(image.name, places, image.camera_id, number)
            merged.add_image_with_trivial_frame(bare, image.cam_from_world())
    _add_points(merged, models)
    return merged


def _cameras(models: list[Any]) -> list[Any]:
    found: dict[int, list[tuple[Any, int]]] = {}
    for model in models:
        pictures: dict[int, int] = {}
        for number in _posed(model):
            camera = model.images[number].camera_id
            pictures[camera] = pictures.get(camera, 0) + 1
        for camera, count in pictures.items():
            found.setdefault(camera, []).append((model.cameras[camera], count))
    cameras = []
    for seen in found.values():
        camera = pycolmap.Camera(seen[0][0].todict())
        params = np.array([one.params for one, _ in seen])
        camera.params = np.average(params, axis=0, weights=[count for _, count in seen])
        cameras.append(camera)
    return cameras


def _add_points(merged: Any, models: list[Any]) -> None:
    points = [point for model in models for point in model.points3D.values()]
    observed = np.array(
        [
            (place, element.image_id, element.point2D_idx)
            for place, point in enumerate(points)
            for element in point.track.elements
        ],
        np.int64,
    ).reshape(-1, 3)
    labels = united(observed, len(points))
    owner = labels[observed[:, 0]]
    order = np.lexsort((observed[:, 2], observed[:, 1], owner))
    owner, observed = owner[order], observed[order]
    is_first = np.ones(len(owner), bool)  # of a picture in a track
    is_first[1:] = (owner[1:] != owner[:-1]) | (observed[1:, 1] != observed[:-1, 1])
    owner, observed = owner[is_first], observed[is_first]
    members = np.argsort(labels, kind="stable")
    groups = np.split(members, np.nonzero(np.diff(labels[members]))[0] + 1)
    tracks = np.split(observed[:, 1:], np.nonzero(np.diff(owner))[0] + 1)
    for group, track in zip(groups, tracks, strict=True):
        where = np.mean([points[one].xyz for one in group], axis=0)
        elements = [pycolmap.TrackElement(int(image), int(index)) for image, index in track]
        merged.add_point3D(where, pycolmap.Track(elements), points[group[0]].color)


def united(observed: NDArray[np.int64], points: int) -> NDArray[np.int32]:
    """Which points are one, [P]: those that share an observation, directly or through others.

    Args:
        observed: Point, image and feature of each observation, [O, 3].
    """
    order = np.lexsort((observed[:, 2], observed[:, 1]))
    ordered = observed[order]
    same = (ordered[1:, 1:] == ordered[:-1, 1:]).all(axis=1)
    one, other = ordered[:-1, 0][same], ordered[1:, 0][same]
    graph = csr_matrix((np.ones(len(one), bool), (one, other)), shape=(points, points))
    return np.asarray(connected_components(graph, directed=False)[1])
