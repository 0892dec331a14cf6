"""What there is of one scene, for its page: results, runs, photos, depth maps, stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.pipelines.pipeline import COMMON
from maquette.quantities import duration
from maquette.scene import outputs, stage_records
from maquette.scene.paths import Scene
from maquette.viewer.gallery import listing, runs

_DOWNLOADS = (outputs.MESH, outputs.REDUCED_MESH, outputs.POINTS, outputs.SPLATS)
_MOST_PHOTOS = 400


def state(scene: Scene) -> dict[str, Any]:
    """The scene as JSON; addresses are below the scene's folder."""
    pipelines = outputs.pipelines_of(scene.root)
    photos = listing.photos(scene)[:_MOST_PHOTOS]
    return {
        "name": scene.name,
        "photo_count": listing.photo_count(scene),
        "pipelines": [_pipeline(scene.of(name)) for name in pipelines],
        "runs": runs.runs(scene),
        "photos": [scene.relative(path) for path in photos],
        "depth_maps": [scene.relative(path) for path in _depth_maps(scene)],
        "stages": _stages(scene, pipelines),
        "has_points": (scene.sparse / "points3D.bin").is_file(),
        "report": scene.report_page.is_file(),
    }


def _pipeline(scene: Scene) -> dict[str, Any]:
    made = outputs.read(scene)
    return {
        "name": scene.pipeline,
        "numbers": listing.evaluation(scene),
        "can_be_shown": any(item.kind in _DOWNLOADS for item in made),
        "made_s": max(((scene.root / item.path).stat().st_mtime for item in made), default=0.0),
        "files": [
            {"name": Path(item.path).name, "url": item.path, "size_bytes": item.size_bytes,
             "kind": item.kind}
            for item in made
            if item.kind in _DOWNLOADS
        ],
        "pictures": [
            item.path for item in made
            if item.kind == outputs.PICTURE and Path(item.path).name.startswith(scene.name)
        ],
    }  # fmt: skip


def _depth_maps(scene: Scene) -> list[Path]:
    """The filtered depth maps of dense stereo, those of COLMAP's geometric step among them."""
    found = sorted(scene.root.glob("dense/*/*/stereo/depth_maps/*.geometric.bin"))
    return found or sorted(scene.root.glob("dense/*/*/stereo/depth_maps/*.bin"))


def _stages(scene: Scene, pipelines: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "pipeline": owner, "step": record.step, "stage": record.stage,
            "seconds": record.wall_s, "time": duration(record.wall_s),
            "remarks": record.remarks,
        }
        for owner in (COMMON, *pipelines)
        for record in stage_records.read_all(scene, owner)
    ]  # fmt: skip
