"""Where the camera is at any moment: someone walks once and a fifth round the owl, by hand.

World frame: z up, ground at z = 0, one unit = the owl's height. Camera axes are OpenCV's:
x right, y down, z forward. `frame` is a real number, so that the renderer can ask for the pose
at the start and the end of an exposure; the ground truth is the pose at whole numbers, which
are the middles of the exposures.
"""

from dataclasses import dataclass

import numpy as np

TARGET = np.array([-0.02, 0.0, 0.47])
TURNS = 1.2
JOLT_FRAMES = np.array([9.3, 30.6, 47.2, 68.7, 85.3, 106.4, 123.8, 141.2, 152.6])


@dataclass(frozen=True)
class Film:
    """The format of the video and the pinhole that filmed it."""

    frame_count: int = 160
    fps: int = 24
    width: int = 480
    height: int = 360
    focal_px: float = 440.0  # 57.2 degrees across
    exposure_frames: float = 0.22  # part of a frame interval that the shutter is open


def wobble(frame, seed, slowest=55.0, fastest=7.0, count=7):
    """Smooth shake about 1 in size: a sum of sines with periods in frames, seeded."""
    random = np.random.default_rng(seed)
    periods = np.geomspace(slowest, fastest, count) * random.uniform(0.85, 1.15, count)
    phases = random.uniform(0.0, 2.0 * np.pi, count)
    sizes = np.sqrt(periods / slowest)
    sizes /= np.linalg.norm(sizes) / np.sqrt(2.0)
    return float(sizes @ np.sin(2.0 * np.pi * frame / periods + phases))


def jolt(frame, seed):
    """A footstep's knock: short bumps at JOLT_FRAMES, of random sign and strength."""
    strengths = np.random.default_rng(seed).normal(0.0, 1.0, len(JOLT_FRAMES))
    return float(strengths @ np.exp(-0.5 * ((frame - JOLT_FRAMES) / 0.75) ** 2))


def camera_centre(frame, film):
    """Position of the pinhole, [3] world units."""
    share = frame / film.frame_count
    azimuth = np.radians(-118.0 + 360.0 * TURNS * share + 2.0 * wobble(frame, 1, 80.0, 20.0))
    elevation = np.radians(32.0 - 15.5 * np.cos(2.0 * np.pi * 1.15 * share + 0.35))
    elevation += np.radians(0.7 * wobble(frame, 2, 60.0, 14.0))
    distance = 2.50 + 0.16 * np.sin(2.0 * np.pi * 1.7 * share + 0.6) + 0.03 * wobble(frame, 3)
    horizontal = distance * np.cos(elevation)
    step = np.array([np.cos(azimuth) * horizontal, np.sin(azimuth) * horizontal, 0.0])
    step[2] = distance * np.sin(elevation) + 0.008 * wobble(frame, 4, 14.0, 5.0)
    return TARGET + step


def world_from_cam(frame, film):
    """Camera pose at a moment.

    Args:
        frame: Time in frames; whole numbers are the middles of the exposures.
        film: Film.

    Returns:
        [4, 4] float64, rigid; columns are the camera's right, down and forward, then its centre.
    """
    centre = camera_centre(frame, film)
    aim = TARGET + 0.03 * np.array([wobble(frame, seed) for seed in (11, 12, 13)])
    forward = (aim - centre) / np.linalg.norm(aim - centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward], axis=1)
    yaw = 0.10 * wobble(frame, 21, 12.0, 4.0) + 0.55 * jolt(frame, 31)
    pitch = 0.10 * wobble(frame, 22, 12.0, 4.0) + 0.75 * jolt(frame, 32)
    roll = 1.2 * wobble(frame, 23, 60.0, 10.0) + 0.4 * jolt(frame, 33)
    pose = np.eye(4)
    pose[:3, :3] = level @ rotation(np.radians([pitch, yaw, roll]))
    pose[:3, 3] = centre
    return pose


def rotation(angles):
    """Rotation matrix of a rotation vector, [3] radians to [3, 3]."""
    angle = np.linalg.norm(angles)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = angles / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
