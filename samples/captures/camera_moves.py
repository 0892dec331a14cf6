"""How people move a camera: round a thing, past a front, along a street, about a room.

A pose is world_from_cam [4, 4], OpenCV's axes: x right, y down, z forward.
"""

import numpy as np


def looking_at(centre, target, roll_deg=0.0):
    """The pose of a camera at `centre` [3] that has `target` [3] in its middle."""
    centre, target = np.asarray(centre, float), np.asarray(target, float)
    forward = (target - centre) / np.linalg.norm(target - centre)
    upward = [0.0, 1.0, 0.0] if abs(forward[2]) > 0.99 else [0.0, 0.0, 1.0]
    right = np.cross(forward, upward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    angle = np.radians(roll_deg)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(angle) * right + np.sin(angle) * down
    pose[:3, 1] = np.cos(angle) * down - np.sin(angle) * right
    pose[:3, 2], pose[:3, 3] = forward, centre
    return pose


def round_a_target(target, distance, azimuths_deg, elevations_deg, seed, unsteady=0.02):
    """Poses on arcs round a target; `unsteady` is the shake of hands, of the distance."""
    random = np.random.default_rng(seed)
    poses = []
    for azimuth, elevation in np.radians(np.stack([azimuths_deg, elevations_deg], axis=1)):
        level = np.cos(elevation)
        out = [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)]
        shake = unsteady * distance * random.normal(size=(2, 3))
        centre = np.add(target, distance * np.array(out)) + shake[0]
        poses.append(looking_at(centre, target + shake[1], random.normal()))
    return poses


def through(centres, targets, seed, unsteady=0.03):
    """Poses at centres [N, 3] towards targets [N, 3], shaken by `unsteady` world units."""
    random = np.random.default_rng(seed)
    return [
        looking_at(
            centre + unsteady * random.normal(size=3),
            target + unsteady * random.normal(size=3),
            random.normal(),
        )
        for centre, target in zip(np.asarray(centres), np.asarray(targets), strict=True)
    ]


def wave(count, turns, low, high):
    """A number that swings between low and high, [count]."""
    phase = np.sin(2.0 * np.pi * turns * np.arange(count) / count)
    return low + (high - low) * (0.5 + 0.5 * phase)
