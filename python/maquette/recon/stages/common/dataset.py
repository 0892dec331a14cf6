"""Stage `dataset`: `config.yaml`, the training configuration that fits the prepared pictures."""

from __future__ import annotations

import yaml
from PIL import Image

from maquette.errors import BadInput
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames import photos
from maquette.recon.stages.common import STAGES
from maquette.recon.surface.scene_config import PreparedImages, scene_config
from maquette.scene import transforms
from maquette.scene.atomic import write_text
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["dataset"]


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Check that every posed picture is there, and write the configuration."""
    cameras = transforms.read(scene.transforms)
    paths = [scene.root / frame.file_path for frame in cameras.frames]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise BadInput(
            f"{len(missing)} of {len(paths)} pictures are missing: `{missing[0]}`",
            hint="run `make prepare` again with FORCE_STAGE=undistort",
        )
    photos.check(paths)
    with Image.open(paths[0]) as first:
        width, height = first.size
    images = PreparedImages(
        root=f"scenes/{scene.name}",
        count=len(paths),
        width=width,
        height=height,
        scene_type=options.scene_type,
        auto_exposure_wb=options.auto_exposure_wb,
    )
    text = yaml.safe_dump(scene_config(images), indent=4, default_flow_style=False)
    remarks = _keep_edited(scene, text)
    write_text(scene.config, text)
    for remark in remarks:
        progress.say(remark)
    numbers = {
        "images": len(paths),
        "width": width,
        "height": height,
        "scene_type": options.scene_type,
    }
    return Report((), mutable=[scene.config], numbers=numbers, remarks=remarks)


def _keep_edited(scene: Scene, text: str) -> list[str]:
    """Values that stand there and differ may hold a person's work: set them aside."""
    if not scene.config.exists() or scene.config.read_text(encoding="utf-8") == text:
        return []
    scene.config.replace(scene.config.with_name("config.before.yaml"))
    return ["config.yaml is written anew; the earlier one is kept as config.before.yaml"]
