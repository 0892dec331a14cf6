"""Round things, modelled as signed distance fields: a toy, a jug, stones, trees, the owl.

Fields take points [N, 3] and return distances [N], negative inside.
"""

from functools import cache

import numpy as np
from skimage.measure import marching_cubes

from captures.solids import Solid
from owl_shape import blend_union, build_owl, carve, ellipsoid, limb, value_noise


def of_field(field, low, high, cells, material):
    """The zero level of a field in the box low..high, with `cells` along its longest edge."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    spacing = (high - low).max() / cells
    counts = np.ceil((high - low) / spacing).astype(int) + 1
    points = np.indices(counts).reshape(3, -1).T * spacing + low
    values = field(points.astype(np.float32)).reshape(counts)
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(spacing,) * 3)
    faces = faces.astype(np.int32)
    return Solid(vertices + low, faces, np.full(len(faces), material))


@cache
def owl():
    """The painted owl of the sample on its stump, one unit tall, looking along -y."""
    mesh = build_owl(0.005)
    materials = np.full(len(mesh.faces), "painted")
    return Solid(mesh.vertices.astype(float), mesh.faces, materials, mesh.colours)


def toy():
    """A standing toy dog, about one unit tall and long, on z = 0, looking along -y."""

    def field(points):
        body = limb(points, [0, -0.22, 0.48], [0, 0.25, 0.46], 0.20, 0.17)
        head = ellipsoid(points, [0, -0.36, 0.74], [0.17, 0.19, 0.17])
        snout = limb(points, [0, -0.42, 0.68], [0, -0.58, 0.66], 0.10, 0.07)
        body = blend_union(body, blend_union(head, snout, 0.05), 0.08)
        for side in (-0.13, 0.13):
            for y in (-0.24, 0.27):
                leg = limb(points, [side, y, 0.42], [1.1 * side, y - 0.02, 0.06], 0.09, 0.075)
                body = blend_union(body, leg, 0.05)
            ear = limb(points, [0.9 * side, -0.30, 0.86], [1.7 * side, -0.30, 0.66], 0.06, 0.04)
            body = blend_union(body, ear, 0.02)
        tail = limb(points, [0, 0.36, 0.55], [0.05, 0.48, 0.83], 0.05, 0.03)
        return blend_union(body, tail, 0.04)

    return of_field(field, [-0.35, -0.7, -0.06], [0.35, 0.6, 1.0], 110, "toy")


def jug():
    """A ribbed jug with a handle and a spout, one unit tall, on z = 0; open and hollow above."""

    def field(points):
        angle = np.arctan2(points[:, 1], points[:, 0])
        rib = 0.012 * np.cos(9.0 * angle + 7.0 * points[:, 2])
        belly = ellipsoid(points, [0, 0, 0.38], [0.36, 0.36, 0.40]) - rib
        neck = limb(points, [0, 0, 0.5], [0, 0, 0.92], 0.2, 0.17)
        spout = limb(points, [0.12, 0, 0.82], [0.27, 0, 0.97], 0.08, 0.05)
        whole = blend_union(blend_union(belly, neck, 0.1), spout, 0.04)
        inside = limb(points, [0, 0, 0.45], [0, 0, 1.2], 0.17, 0.13)
        whole = carve(np.maximum(whole, points[:, 2] - 0.98), inside, 0.015)
        ring = np.hypot(np.hypot(points[:, 0] + 0.28, points[:, 2] - 0.62) - 0.2, points[:, 1])
        handle = np.maximum(ring - 0.04, points[:, 0] + 0.16)
        return np.maximum(blend_union(whole, handle, 0.02), -points[:, 2])

    return of_field(field, [-0.6, -0.45, -0.04], [0.45, 0.45, 1.05], 120, "glaze")


def stone(seed, material="stone"):
    """A lump about one unit wide, its lower quarter below z = 0."""

    def field(points):
        bump = value_noise(points + 3.7 * seed, 2.3, 3) - 0.5
        return ellipsoid(points, [0, 0, 0.15], [0.5, 0.42, 0.3]) + 0.3 * bump

    return of_field(field, [-0.8, -0.8, -0.5], [0.8, 0.8, 0.8], 26, material)


def tree(seed):
    """A trunk and a lumpy crown, one unit tall."""

    def field(points):
        bump = value_noise(points + 5.1 * seed, 5.0, 3) - 0.5
        crown = ellipsoid(points, [0, 0, 0.65], [0.3, 0.3, 0.33]) + 0.3 * bump
        return np.minimum(crown, limb(points, [0, 0, -0.05], [0, 0, 0.6], 0.05, 0.03))

    return of_field(field, [-0.5, -0.5, -0.1], [0.5, 0.5, 1.1], 40, "leaves")
