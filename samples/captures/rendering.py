"""Photographs by ray casting: matt surfaces, a few lamps with shadows, some sensor noise."""

import numpy as np

from captures.materials import MATERIALS, albedo
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh, face_cross, unit_vectors

_SAMPLES = 2  # rays along each side of a pixel
_NOISE = 0.006  # standard deviation of the sensor's noise, of full scale
_LIFT = 2e-4  # of a surface's distance: where its shadow rays start


class Photographer:
    """Renders the photos of one capture."""

    def __init__(self, capture):
        self._capture = capture
        world = capture.world
        self._rays = RayScene(TriangleMesh(world.vertices, world.faces))
        cross = face_cross(TriangleMesh(world.vertices, world.faces))
        self._normals = unit_vectors(cross).astype(np.float32)
        self._names, self._kinds = np.unique(world.materials, return_inverse=True)

    def photo(self, number, width):
        """One photo at a width in pixels: [H, W, 3] uint8, and its mask [H, W] bool."""
        capture = self._capture
        height = round(width * capture.height / capture.width)
        focal_px = capture.focal_px * width / capture.width
        pose = capture.poses[number].astype(np.float32)
        directions = pixel_rays(width, height, focal_px, _SAMPLES) @ pose[:3, :3].T
        hits = self._rays.first_hits(np.broadcast_to(pose[:3, 3], directions.shape), directions)
        light = self._background(directions)
        light[hits.ray] = self._radiance(hits, pose, directions[hits.ray], focal_px)
        is_subject = np.zeros(len(directions), np.float32)
        is_subject[hits.ray] = hits.face < capture.subject_faces
        color = to_srgb(_pooled(light, width, height))
        random = np.random.default_rng((17, number))
        color = color + _NOISE * random.normal(size=color.shape)
        mask = _pooled(is_subject[:, None], width, height)[:, :, 0] >= 0.5
        return np.rint(255 * np.clip(color, 0, 1)).astype(np.uint8), mask

    def _background(self, directions):
        sky = np.asarray(self._capture.background) ** 2.2
        return sky.astype(np.float32) * (0.9 + 0.1 * directions[:, 2:])

    def _radiance(self, hits, pose, directions, focal_px):
        """Light [H, 3] that comes from what rays met."""
        points = pose[:3, 3] + hits.depth[:, None] * directions
        normals = self._normals[hits.face]
        normals = normals * -np.sign(np.einsum("ij,ij->i", normals, directions))[:, None]
        footprint = hits.depth / focal_px
        received = self._received(points, normals, pose, hits.depth)
        return received[:, None] * self._albedo(hits, points, normals, footprint)

    def _albedo(self, hits, points, normals, footprint):
        color = np.zeros((len(points), 3), np.float32)
        kinds = self._kinds[hits.face]
        for kind in np.unique(kinds):
            chosen = kinds == kind
            name = self._names[kind]
            if name == "painted":
                corners = self._capture.world.faces[hits.face[chosen]]
                painted = self._capture.world.colours[corners]  # [H, 3, 3]
                color[chosen] = np.einsum("hc,hcd->hd", hits.weights[chosen], painted)
            else:
                color[chosen] = albedo(
                    MATERIALS[name], points[chosen], normals[chosen], footprint[chosen]
                )
        return color

    def _received(self, points, normals, pose, depth):
        """Light that surfaces receive, [H]."""
        total = self._capture.ambient * (0.75 + 0.25 * normals[:, 2])
        starts = points + _LIFT * depth[:, None] * normals
        for light in self._capture.lights:
            position = np.asarray(light.position, np.float32)
            if self._capture.lights_by_camera:
                position = pose[:3, :3] @ position + pose[:3, 3]
            ways = position - starts
            distance = np.sqrt(np.einsum("ij,ij->i", ways, ways))
            cosine = np.einsum("ij,ij->i", normals, ways) / distance
            facing = np.flatnonzero(cosine > 0)
            blocked = self._rays.is_blocked(starts[facing], ways[facing], 1.0)
            total[facing] += light.strength * cosine[facing] * ~blocked
        return total


def pixel_rays(width, height, focal_px, samples=1):
    """Directions of length 1 in depth through each pixel, row by row, [H * W * samples², 3].

    Camera frame; pixel centres at +0.5, the principal point in the picture's middle.
    """
    x = (np.arange(width * samples) + 0.5) / samples - 0.5 * width
    y = (np.arange(height * samples) + 0.5) / samples - 0.5 * height
    across, down = np.meshgrid(x / focal_px, y / focal_px)
    return np.stack([across, down, np.ones_like(across)], axis=-1).reshape(-1, 3).astype(np.float32)


def to_srgb(light):
    """Linear light to display values 0..1, [..., 3]."""
    return np.clip(light, 0.0, 1.0) ** (1 / 2.2)


def _pooled(values, width, height):
    """Mean of each pixel's samples, [H, W, C]."""
    return values.reshape(height, _SAMPLES, width, _SAMPLES, -1).mean(axis=(1, 3))
