"""Stage `region`: `transforms.json` with cameras, sphere and box, and a picture of them."""

from __future__ import annotations

from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.pictures import points
from maquette.recon.sfm.colmap import pycolmap
from maquette.scene import colmap_model, region_file, region_rules, region_search, transforms
from maquette.scene.atomic import replacing, write_json
from maquette.scene.colmap_model import SparseModel
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.region_rules import Estimate
from maquette.scene.transforms import Transforms
from maquette.stages.stage import Report, Stage


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Place the region by the scene type's rule, or keep the one that the person set."""
    model = colmap_model.read(scene.sparse)
    found = _find(options.scene_type, model)
    kept, remark = region_file.kept_region(scene.transforms, model.frames())
    if remark and kept is None:
        before = transforms.read(scene.transforms).region
        write_json(scene.stages / "region_user.json", transforms.region_to(before))
    remarks = [text for text in (remark, "" if kept else found.remark) if text]
    for text in remarks:
        progress.say(text)
    region, rule = (kept, "user") if kept else (found.region, found.rule)
    _write(scene, model, region, "user" if kept else "auto")
    title = f"{scene.name} · {options.scene_type}, region by {rule}"
    subject = points.Subject.of(model, region, scene)
    picture = points.write(scene.stages / "region.png", subject, title)
    ply = scene.sparse / "points3D.ply"
    mutable = [scene.transforms, picture]  # both change when a person sets the region
    return Report([ply], mutable=mutable, numbers=_numbers(model, region, rule), remarks=remarks)


def _find(scene_type: str, model: SparseModel) -> Estimate:
    """The cameras' orbit for an object they circle, whose width training is tuned to; else ours."""
    if scene_type == "object":
        wide = region_rules.estimate(scene_type, model.centers, model.axes, model.points)
        if wide.rule == "poses":
            return wide
    return region_search.find(scene_type, model)


def _write(scene: Scene, model: SparseModel, region: Region, source: str) -> None:
    with replacing(scene.sparse / "points3D.ply") as temporary:
        pycolmap.Reconstruction(scene.sparse).export_PLY(temporary)
    extra = {"ply_file_path": "sparse/0/points3D.ply", region_file.SOURCE_KEY: source}
    transforms.write(scene.transforms, Transforms(model.frames(), region), extra=extra)


def _numbers(model: SparseModel, region: Region, rule: str) -> dict[str, object]:
    inside = int(region.contains(model.points).sum())
    return {
        "rule": rule,
        "center": [round(value, 6) for value in region.center],
        "radius": round(region.radius, 6),
        "points_inside": inside,
        "points_outside": len(model.points) - inside,
        "cameras": len(model.names),
        "region": region.digest,
    }


STAGE = Stage(
    "region",
    2,
    run,
    parameters=("scene_type",),
    after=("undistort",),
    packages=("pycolmap", "pillow"),
)
