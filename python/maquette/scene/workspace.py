"""Open a COLMAP workspace to look at it and to set its region, or say what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from maquette.errors import BadInput, NotFound
from maquette.scene import (
    colmap_model,
    georeference,
    region_file,
    region_rules,
    region_search,
    stage_records,
    transforms,
)
from maquette.scene.colmap_model import SparseModel
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Transforms


@dataclass(frozen=True)
class Workspace:
    """A scene that is open.

    Attributes:
        sparse: The folder that the model was read from.
        saved: The region in `transforms.json`, or None when there is none yet.
        region: Where to begin: the saved region, else the one found by rule.
        remarks: What the person should know.
    """

    scene: Scene
    sparse: Path
    model: SparseModel
    saved: Region | None
    region: Region
    remarks: tuple[str, ...] = ()

    def save(self, region: Region, source: region_file.Source = "user") -> None:
        """Write the region, unless somebody else changed it since this workspace was opened.

        Raises:
            ChangedMeanwhile: the file holds another region than when this was opened.
            BadInput: the file is unusable, or the cameras can not be written into a new one.
        """
        frames = () if self.saved else self.model.frames()
        if self.saved is None and region_file.current(self.scene.transforms) is not None:
            raise region_file.ChangedMeanwhile(
                "another program made transforms.json meanwhile", hint="load the scene again"
            )
        region_file.save(self.scene.transforms, region, frames, source, self.saved)

    def with_saved(self, region: Region) -> Workspace:
        """The workspace after this region was written."""
        return replace(self, saved=region, region=region)

    def photo(self, name: str) -> Path:
        """Where the picture of an image name lies."""
        return self.scene.images / name


def open_workspace(root: Path) -> Workspace:
    """Open a scene folder, or any undistorted COLMAP workspace with `images/` and `sparse/`.

    Raises:
        NotFound: there is no such folder.
        BadInput: it is no workspace, or its parts do not belong together.
    """
    if not root.is_dir():
        raise NotFound(f"there is no folder `{root}`", hint="choose the folder that holds sparse/")
    scene = Scene(root)
    sparse = _find_model(scene)
    model = colmap_model.read(sparse)
    if not model.names:
        raise BadInput(f"the COLMAP model has no posed images: `{sparse}`")
    region_rules.check_points(model.points)
    remarks = _check_photos(scene, model)
    saved = None
    if scene.transforms.exists():
        cameras = transforms.read(scene.transforms)
        _check_same_scene(scene, model, cameras)
        saved = cameras.region
    up = georeference.read(scene.georeference).up
    found = saved or region_search.find(scene_type_of(scene), model, up=up).region
    return Workspace(scene, sparse, model, saved, found, remarks)


def scene_type_of(scene: Scene) -> str:
    """The scene type that prepare was told, else `object`."""
    record = stage_records.read(scene, "region")
    return str(record.parameters.get("scene_type", "object")) if record else "object"


def _find_model(scene: Scene) -> Path:
    for folder in (scene.sparse, scene.sparse.parent):
        if any((folder / name).exists() for name in colmap_model.FILES):
            return folder
    if scene.images.is_dir():
        raise BadInput(
            f"there are images but no COLMAP model: `{scene.sparse.parent}`",
            hint="`make prepare` makes it; text models: `colmap model_converter`",
        )
    raise BadInput(
        f"this is no COLMAP workspace: `{scene.root}`",
        hint="choose the folder that holds images/ and sparse/",
    )


def _check_photos(scene: Scene, model: SparseModel) -> tuple[str, ...]:
    if not scene.images.is_dir():
        raise BadInput(
            f"there is a COLMAP model but no folder of images: `{scene.images}`",
            hint="a workspace has the undistorted pictures in images/",
        )
    missing = [name for name in model.names if not (scene.images / name).is_file()]
    if len(missing) == len(model.names):
        raise BadInput(
            f"images/ and sparse/ are not of one scene: `{scene.root}`",
            detail=f"none of the model's {len(missing)} pictures is there, e.g. {missing[0]}",
            hint="copy both from the same workspace",
        )
    if not missing:
        return ()
    return (f"{len(missing)} of {len(model.names)} pictures are missing, e.g. {missing[0]}",)


def _check_same_scene(scene: Scene, model: SparseModel, cameras: Transforms) -> None:
    named = {Path(frame.file_path).name for frame in cameras.frames}
    if not named & {Path(name).name for name in model.names}:
        raise BadInput(
            f"transforms.json and sparse/ are not of one scene: `{scene.root}`",
            hint="move the wrong one away, or run `make prepare` again",
        )
