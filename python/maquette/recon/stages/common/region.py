"""Stage `region`: `transforms.json` with cameras, sphere and box, and a picture of them."""

from __future__ import annotations

from maquette.errors import BadInput
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.pictures import points
from maquette.recon.sfm.colmap import read_model
from maquette.recon.stages.common import STAGES
from maquette.scene import colmap_model, georeference, region_file, region_search, transforms
from maquette.scene.atomic import replacing, write_json
from maquette.scene.colmap_model import SparseModel
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.region_views import Views
from maquette.scene.transforms import Transforms
from maquette.stages.stage import Report

STAGE = STAGES["region"]


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Find the region by cameras and points, or keep the one that the person set."""
    model = colmap_model.read(scene.sparse)
    place = georeference.read(scene.georeference)
    found = region_search.find(options.scene_type, model, up=place.up)
    kept, remark = region_file.kept_region(scene.transforms, model.frames())
    if remark and kept is None:
        before = transforms.read(scene.transforms).region
        write_json(scene.stages / "region_user.json", transforms.region_to(before))
    remarks = [text for text in (remark, "" if kept else found.remark) if text]
    for text in remarks:
        progress.say(text)
    if kept is None and not found.region.contains(model.points).any():
        raise BadInput(
            f"no region was found: none of {len(model.points)} points lies where the cameras look",
            detail="so it is where pictures show too little depth to tell how far things are",
            hint="film again walking around the object; `make adjust` sets one by hand",
        )
    region, rule = (kept, "user") if kept else (found.region, found.rule)
    _write(scene, Transforms(model.frames(), region, place.up), "user" if kept else "auto")
    title = f"{scene.name} · {options.scene_type}, region by {rule}"
    subject = points.Subject.of(model, region, scene, place.up)
    picture = points.write(scene.stages / "region.png", subject, title)
    ply = scene.sparse / "points3D.ply"
    mutable = [scene.transforms, picture]  # both change when a person sets the region
    return Report([ply], mutable=mutable, numbers=_numbers(model, region, rule), remarks=remarks)


def _write(scene: Scene, cameras: Transforms, source: str) -> None:
    with replacing(scene.sparse / "points3D.ply") as temporary:
        read_model(scene.sparse, "run `make prepare` with FORCE_STAGE=undistort").export_PLY(
            temporary
        )
    extra = {"ply_file_path": "sparse/0/points3D.ply", region_file.SOURCE_KEY: source}
    if scene.georeference.is_file():
        extra[transforms.GEOREFERENCE_KEY] = scene.relative(scene.georeference)
    transforms.write(scene.transforms, cameras, extra=extra)


def _numbers(model: SparseModel, region: Region, rule: str) -> dict[str, object]:
    inside, views = int(region.contains(model.points).sum()), Views.of(model)
    return {
        "rule": rule,
        "center": [round(value, 6) for value in region.center],
        "radius": round(region.radius, 6),
        "points_inside": inside,
        "points_outside": len(model.points) - inside,
        "middle_of_pictures": round(views.share(region.contains(views.points)), 3),
        "cameras": len(model.names),
        "region": region.digest,
    }
