"""What a photo set consists of before it is rendered."""

from dataclasses import dataclass, field

import numpy as np

from captures.solids import Solid, joined


@dataclass(frozen=True)
class Light:
    """A small lamp, or the sun far away.

    Attributes:
        position: World; in the camera's frame where the capture's lights stand by the camera.
        strength: Light on a surface that faces it, at any distance.
    """

    position: tuple[float, float, float]
    strength: float


OUTDOORS = (
    Light((-500.0, -700.0, 900.0), 0.55), Light((600.0, -500.0, 500.0), 0.15),
    Light((100.0, 300.0, 900.0), 0.15),
)  # fmt: skip


@dataclass(frozen=True)
class Capture:
    """A photo set: what is photographed, from where, in which light.

    Attributes:
        scene_type: The SCENE_TYPE that a person would choose for it.
        subject: What it is a model of, [Solid].
        surroundings: What else is in the pictures, [Solid].
        poses: world_from_cam [4, 4] of each photo.
        focal_px: At `width`; the principal point is the picture's middle.
        ambient: Light from everywhere.
        lights_by_camera: Whether lights stand still before the camera, as before a turntable.
        background: Colour where there is nothing, sRGB 0..1; brighter towards the top.
        is_masked: Whether each photo has a mask that shows the subject alone.
        box: [3, 2], where the subject's surface is compared, or None for everywhere.
        reach: Of the subject, what lies so near to a camera counts; None: all. What is filmed is
            what a walk goes past, and not all that is in sight far ahead.
    """

    scene_type: str
    subject: list[Solid]
    surroundings: list[Solid]
    poses: list[np.ndarray]
    focal_px: float
    lights: tuple[Light, ...] = OUTDOORS
    ambient: float = 0.25
    lights_by_camera: bool = False
    background: tuple[float, float, float] = (0.72, 0.80, 0.90)
    is_masked: bool = False
    box: np.ndarray | None = None
    reach: float | None = None
    width: int = 640
    height: int = 480
    world: Solid = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "world", joined(self.subject + self.surroundings))

    @property
    def subject_faces(self):
        """How many of the world's first faces are the subject's."""
        return sum(len(solid.faces) for solid in self.subject)
