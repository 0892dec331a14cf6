"""The step that all pipelines share: from what people film to posed images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.options import ShardedStepOptions, option
from maquette.pipelines.pipeline import Step

Poses = Literal["auto", "given", "refine", "find"]
SceneType = Literal["object", "indoor", "outdoor"]
Matcher = Literal["auto", "exhaustive", "sequential"]
PrincipalPoint = bool | Literal["auto"]
WhetherGeoreferenced = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class PrepareOptions(ShardedStepOptions):
    """Options of `prepare`."""

    input: str = ""  # file, folder or URL, as planning resolved it; empty: the scene's own input/
    downsample_rate: int = option(2, "take every N-th video frame", low=1)
    frames: int = option(0, "take N sharp frames instead (0: every N-th)", low=0)
    scene_type: SceneType = option("object", "object, indoor or outdoor: rule for the region")
    matcher: Matcher = option("auto", "auto, exhaustive or sequential")
    camera_model: str = option("SIMPLE_RADIAL", "COLMAP camera model of the input")
    camera_params: str = option("", "known intrinsics in COLMAP's order, e.g. f,cx,cy,k")
    refine_principal_point: PrincipalPoint = option(
        "auto", "auto: mapping moves cx, cy where pictures are cropped; 1: always, 0: never"
    )
    poses: Poses = option(
        "auto", "given: those that came with the photos; refine: these, adjusted; find: new ones"
    )
    cluster_size: int = option(
        0, "photos mapped together, larger sets in clusters (0: by number and memory)", low=0
    )
    auto_exposure_wb: bool = option(False, "1: exposure or white balance varies")
    min_registered: float = option(
        0.6, "gate: smallest share of images with a pose", above=0, high=1
    )
    georeference: WhetherGeoreferenced = option(
        "auto", "the photos' GPS gives scale, up and north; auto: where it fits; on: or it fails"
    )
    gcp: str = option(
        "", "ground control points in OpenDroneMap's form; empty: gcp_list.txt of the input"
    )
    scale_bar: str = option(
        "", "metres and two control points, e.g. '2.5 A B', or their pixels in two photos or more"
    )
    up: str = option("auto", "auto, an axis of COLMAP's world such as -y, or x,y,z")


PREPARE = Step(
    options=PrepareOptions,
    stages=(
        ".common.input", ".common.frames", ".common.features", ".common.matches", ".common.poses",
        ".common.undistort", ".common.georeference", ".common.region", ".common.dataset",
    ),
    work=lambda options, images: images.count * images.megapixels,
    smaller="FRAMES=100",
    needs="input/",
    shows={"region picture": "stages/region.png", "cameras": "transforms.json"},
    advice="look at {scene}/stages/region.png; `make adjust {which}` changes the region",
    is_shared=True,
)  # fmt: skip
