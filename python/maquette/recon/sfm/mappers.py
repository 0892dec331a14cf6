"""The ways to map a database: picture by picture, all at once, or in clusters.

What takes long is kept below `workspace.kept` and gone on from after a kill.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from maquette.recon.frames.folders import replacing_file
from maquette.recon.processes import spread
from maquette.recon.sfm import (
    capacity,
    clusters,
    colmap,
    global_parts,
    mapping,
    matching,
    merging,
    shards,
)
from maquette.recon.sfm.kept_models import Finished, Snapshots, key_of
from maquette.recon.sfm.mapping import Going, MappingOptions
from maquette.recon.sfm.workspace import Workspace
from maquette.scene.events import Progress

_PARTS = 4  # of a global solution: focal lengths, positions, adjustment, tracks laid anew
_NEARLY_ALL = 0.9  # of the pictures: less, and a model that was gone on from is made anew


def incrementally(workspace: Workspace, name: str, database: Path) -> list[Any]:
    """Map picture by picture, with a snapshot now and then where there are many."""
    options = workspace.options.mapping
    source = _Source(database, workspace.pictures, _folder(workspace, name), options)
    images = len(colmap.image_names(database))
    if workspace.kept is None or images <= mapping.SNAPSHOT_FRAMES:
        return _grown(source, Going(), workspace.progress)
    snapshots = Snapshots(workspace.kept / f"{name}-snapshots", key_of(database, options))
    return _grown_on(source, snapshots, (), images, workspace.progress)


def globally(workspace: Workspace, name: str, database: Path) -> list[Any]:
    """Map all at once; of many pictures in parts that are kept, with bounded tracks."""
    images = len(colmap.image_names(database))
    if workspace.kept is None or images <= capacity.ONE_BY_ONE:
        return _solved(workspace, name, database)
    most = mapping.TRACKS_PER_IMAGE * images
    key = key_of(database, workspace.options.mapping, "global", most)
    kept = Finished(workspace.kept / name, key)
    models = kept.read()
    if models is None:
        workspace.progress.say(f"solving for the poses of {images} pictures at once")
        models = _solved_in_parts(workspace, name, database, most, key)
        kept.write(models)
    return models


def in_clusters(workspace: Workspace, name: str, database: Path) -> list[Any]:
    """Map clusters of pictures that overlap, each kept when it is done, and merge them."""
    options, names = workspace.options, colmap.image_names(database)
    matches = matching.counts(database)["matches"]
    size = capacity.cluster_size(len(names), matches, options.cluster_size)
    found = clusters.partition(len(names), matching.inliers(database, names), size)
    workspace.progress.say(f"mapping {len(names)} pictures in {len(found)} clusters")
    work, place = _folder(workspace, name), workspace.kept or workspace.work
    source = _Source(database, workspace.pictures, work, options.mapping)
    tasks = [
        _Cluster(source, tuple(names[one] for one in cluster), place / f"{name}-{number}")
        for number, cluster in enumerate(found)
    ]
    with closing(_mapped(tasks, options.workers, workspace.progress)) as done:
        for count, _ in enumerate(done, 1):
            workspace.progress.step("clusters", count, len(tasks))
    models = [model for task in tasks for model in task.finished.read() or ()]
    return merging.merge(models, database, options.mapping) if models else []


@dataclass(frozen=True)
class _Source:
    """What a model is made from, and a folder for what COLMAP writes."""

    database: Path
    pictures: Path
    work: Path
    options: MappingOptions


@dataclass(frozen=True)
class _Cluster:
    """Pictures that are mapped together, by any process, and where their models are kept."""

    source: _Source
    names: tuple[str, ...]
    folder: Path

    @property
    def key(self) -> str:
        return key_of(self.source.database, self.source.options, self.names)

    @property
    def finished(self) -> Finished:
        return Finished(self.folder, self.key)


def _mapped(tasks: list[_Cluster], workers: int, progress: Progress) -> Generator[None, None, None]:
    """Map those clusters that are not done yet."""
    if workers > 1:
        yield from spread(_map_apart, tasks, workers)
    else:
        for task in tasks:
            _map_cluster(task, progress)
            yield


def _map_apart(task: _Cluster) -> None:
    _map_cluster(task, Progress(log=io.StringIO()))


def _map_cluster(task: _Cluster, progress: Progress) -> None:
    if task.finished.read() is not None:
        return
    snapshots = Snapshots(task.folder.with_name(f"{task.folder.name}-snapshots"), task.key)
    work = task.source.work / task.folder.name
    work.mkdir()
    source = replace(task.source, work=work, database=work / "cut.db")
    shards.cut_for_mapping(task.source.database, source.database)
    models = _grown_on(source, snapshots, task.names, len(task.names), progress)
    source.database.unlink()
    task.finished.write(models)
    snapshots.drop()


def _grown_on(
    source: _Source, snapshots: Snapshots, names: tuple[str, ...], images: int, progress: Progress
) -> list[Any]:
    """Go on from the newest snapshot, or begin.

    A model that was gone on from is the only one; where it has not nearly all pictures, there may
    be others beside it, and the search begins anew.
    """
    begun = snapshots.open()
    going = Going(snapshots.folder, begun, names, snapshots.tidy)
    models = _grown(source, going, progress)
    if begun and (not models or models[0].num_reg_images() < _NEARLY_ALL * images):
        models = _grown(source, replace(going, begun=None), progress)
    return models


def _grown(source: _Source, going: Going, progress: Progress) -> list[Any]:
    return mapping.map_incrementally(
        source.database, source.pictures, source.work, source.options, progress, going
    )


def _solved(workspace: Workspace, name: str, database: Path) -> list[Any]:
    options, calibrated = workspace.options.mapping, _calibrated(workspace, name, database)
    folder = _folder(workspace, name)
    return mapping.map_globally(calibrated, workspace.pictures, folder, options)


def _calibrated(workspace: Workspace, name: str, database: Path) -> Path:
    """A copy of the database with focal lengths that its matches tell, where none are given."""
    calibrated = workspace.work / f"{name}-calibrated.db"
    colmap.copy(database, calibrated)
    if not workspace.options.mapping.intrinsics_known:
        mapping.calibrate(calibrated)
    return calibrated


def _solved_in_parts(
    workspace: Workspace, name: str, database: Path, most_tracks: int, key: str
) -> list[Any]:
    """As `_solved`, but each part is kept when it is done, and not done again after a kill."""
    assert workspace.kept is not None
    options, told = workspace.options.mapping, partial(workspace.progress.step, "parts of poses")
    place, pictures = workspace.kept / name, workspace.pictures
    calibrated = place.with_name(f"{name}-{key[:12]}.db")
    if not calibrated.is_file():
        with replacing_file(calibrated) as made:
            shards.cut_for_mapping(_calibrated(workspace, name, database), made)
            colmap.settle(made)
    told(1, _PARTS)
    positioned, adjusted = (
        Finished(place.with_name(f"{name}-{part}"), key) for part in ("positions", "adjusted")
    )
    models = adjusted.read()
    if models is None:
        models = positioned.read()
        if models is None:
            folder = _folder(workspace, name)
            models = global_parts.position(calibrated, pictures, folder, options, most_tracks)
            positioned.write(models)
        told(2, _PARTS)
        for model in models:
            global_parts.adjust(model, options)
        adjusted.write(models)
    told(3, _PARTS)
    for model in models:
        global_parts.retriangulate(model, calibrated, pictures, options)
    told(4, _PARTS)
    return models


def _folder(workspace: Workspace, name: str) -> Path:
    folder = workspace.work / name
    folder.mkdir(parents=True)
    return folder
