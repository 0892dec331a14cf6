"""Stage `region`: `transforms.json` with cameras, sphere and box, and a picture of them."""

from __future__ import annotations

from pathlib import Path

from maquette.recon.pictures import points
from maquette.recon.sfm import model_arrays, region_file, region_rules
from maquette.recon.sfm.engine import pycolmap
from maquette.recon.sfm.model_arrays import ModelArrays
from maquette.recon.sfm.region_rules import Estimate
from maquette.recon.stages.stage import Report, Stage
from maquette.scene import transforms
from maquette.scene.atomic import replacing, write_json
from maquette.scene.events import Progress
from maquette.scene.options import PrepareOptions
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Transforms


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Place the region by the scene type's rule, or keep the one that the person set."""
    model = model_arrays.read(scene.sparse)
    found = region_rules.estimate(options.scene_type, model.centers, model.axes, model.points)
    kept, remark = region_file.kept_region(scene.transforms, model.frames())
    if remark and kept is None:
        before = transforms.read(scene.transforms).region
        write_json(scene.stages / "region_user.json", region_file.as_document(before))
    remarks = [text for text in (remark, "" if kept else found.remark) if text]
    for text in remarks:
        progress.say(text)
    region, rule = (kept, "user") if kept else (found.region, found.rule)
    _write(scene, model, region, "user" if kept else "auto")
    picture = _draw(scene, model, region, f"{scene.name} · {options.scene_type}, region by {rule}")
    numbers = _numbers(model, region, Estimate(region, rule))
    ply = scene.sparse / "points3D.ply"
    return Report([picture, ply], mutable=[scene.transforms], numbers=numbers, remarks=remarks)


def _write(scene: Scene, model: ModelArrays, region: Region, source: str) -> None:
    with replacing(scene.sparse / "points3D.ply") as temporary:
        pycolmap.Reconstruction(scene.sparse).export_PLY(temporary)
    extra = {"ply_file_path": "sparse/0/points3D.ply", region_file.SOURCE_KEY: source}
    transforms.write(scene.transforms, Transforms(model.frames(), region), extra=extra)


def _draw(scene: Scene, model: ModelArrays, region: Region, title: str) -> Path:
    subject = points.Subject(model.points, model.colors, model.world_from_cam, region)
    with replacing(picture := scene.stages / "region.png") as temporary:
        points.draw(subject, title, temporary)
    return picture


def _numbers(model: ModelArrays, region: Region, found: Estimate) -> dict[str, object]:
    inside = int(region.contains(model.points).sum())
    return {
        "rule": found.rule,
        "center": [round(value, 6) for value in region.center],
        "radius": round(region.radius, 6),
        "points_inside": inside,
        "points_outside": len(model.points) - inside,
        "cameras": len(model.names),
        "region": region.digest,
    }


STAGE = Stage(
    "region",
    1,
    run,
    parameters=("scene_type",),
    after=("undistort",),
    packages=("pycolmap", "pillow"),
)
