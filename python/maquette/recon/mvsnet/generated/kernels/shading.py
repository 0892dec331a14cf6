"""The kernel that renders generated scenes, one thread a pixel of a view."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items

NUMBERS = 12  # of a material, and of a camera: its centre, then world_from_cam's rotation


def render(
    mesh: Any, tables: dict[str, Tensor], cameras: Tensor, lens: tuple[float, float, float],
    light: Tensor, size: tuple[int, int], samples: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Render colours and depths by ray queries; patterns, light, shadow and gloss.

    Args:
        mesh: The `wp.Mesh` that is asked.
        tables: `faces` [F, 3] int32, `normals` and `coordinates` [V, 3] float32, `material` [F]
            int32, `materials` [M, 12] float32.
        cameras: [N, 12] float32.
        lens: Focal length and centre, pixels.
        light: [7] float32: place, share of ambient light, colour of the sky.
        size: Height and width.
        samples: Rays of a pixel: the first through its centre, whose depth is told.

    Returns:
        Colours [N, 3, H, W] of 0..1 and depths [N, H, W] along +z, 0 where nothing is.
    """
    height, width = size
    count, device = len(cameras), cameras.device
    colors = torch.empty(count, 3, height, width, device=device)
    depths = torch.empty(count, height, width, device=device)
    arguments = [
        mesh.id, array(tables["faces"].view(-1), wp.int32),
        array(tables["normals"].view(-1, 3), wp.vec3),
        array(tables["coordinates"].view(-1, 3), wp.vec3),
        array(tables["material"], wp.int32), array(tables["materials"].view(-1)),
        array(cameras.view(-1)), lens[0], lens[1], lens[2], array(light),
        width, height, samples, array(colors.view(-1)), array(depths.view(-1)),
    ]  # fmt: skip
    over_items(_render, count * height * width, device, arguments)
    return colors, depths


@wp.func
def _hash(x: int, y: int, z: int, salt: int) -> float:
    """A number of 0..1 for a cell; the mixer is Murmur3's."""
    h = wp.uint32(x) * wp.uint32(374761393) + wp.uint32(y) * wp.uint32(668265263)
    h = h + wp.uint32(z) * wp.uint32(2147483647) + wp.uint32(salt) * wp.uint32(1274126177)
    h = (h ^ (h >> wp.uint32(16))) * wp.uint32(-2048144789)
    h = (h ^ (h >> wp.uint32(13))) * wp.uint32(-1028477387)
    h = h ^ (h >> wp.uint32(16))
    return float(h >> wp.uint32(8)) / 16777216.0


@wp.func
def _value_noise(p: wp.vec3, salt: int) -> float:
    """Smooth noise of 0..1 with cells of length 1."""
    x = int(wp.floor(p[0]))
    y = int(wp.floor(p[1]))
    z = int(wp.floor(p[2]))
    u = p[0] - float(x)
    v = p[1] - float(y)
    w = p[2] - float(z)
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    w = w * w * (3.0 - 2.0 * w)
    low = wp.lerp(
        wp.lerp(_hash(x, y, z, salt), _hash(x + 1, y, z, salt), u),
        wp.lerp(_hash(x, y + 1, z, salt), _hash(x + 1, y + 1, z, salt), u),
        v,
    )
    high = wp.lerp(
        wp.lerp(_hash(x, y, z + 1, salt), _hash(x + 1, y, z + 1, salt), u),
        wp.lerp(_hash(x, y + 1, z + 1, salt), _hash(x + 1, y + 1, z + 1, salt), u),
        v,
    )
    return wp.lerp(low, high, w)


@wp.func
def _pattern(kind: int, p: wp.vec3) -> float:
    """How much of the second colour there is at a place, 0..1; see `materials.Pattern`."""
    x = int(wp.floor(p[0]))
    y = int(wp.floor(p[1]))
    z = int(wp.floor(p[2]))
    share = 0.5
    if kind == 0:
        share = 0.6 * _value_noise(p * 0.5, 1) + 0.4 * _value_noise(p, 2)
        share = wp.clamp(2.2 * share - 0.6, 0.0, 1.0)
    elif kind == 1:
        share = float((x + y + z) & 1)
    elif kind == 2:
        share = 0.5 + 0.5 * wp.sin(3.14159265 * (p[0] + 0.4 * p[1]))
    elif kind == 3:
        share = _hash(x, y, z, 3)
    elif kind == 4:
        center = wp.vec3(_hash(x, y, z, 4), _hash(x, y, z, 5), _hash(x, y, z, 6))
        away = p - wp.vec3(float(x), float(y), float(z)) - (center * 0.4 + wp.vec3(0.3, 0.3, 0.3))
        share = 0.0
        if wp.length(away) < 0.2 + 0.25 * _hash(x, y, z, 7):
            share = 1.0
    elif kind == 5:
        row = int(wp.floor(p[1]))
        along = 0.5 * p[0] + 0.5 * p[2] + 0.5 * float(row & 1)
        cell = int(wp.floor(along))
        share = 0.25 + 0.5 * _hash(cell, row, 0, 8)
        if along - float(cell) < 0.06 or p[1] - float(row) < 0.12:
            share = 1.0
    else:
        share = _hash(int(wp.floor(p[0] * 2.0)), int(wp.floor(p[1] * 2.0)),
                      int(wp.floor(p[2] * 2.0)), 9)  # fmt: skip
        share = 0.5 * share + 0.5 * _value_noise(p, 10)
    return share


@wp.func
def _albedo(materials: wp.array(dtype=wp.float32), first: int, p: wp.vec3) -> wp.vec3:
    bend = materials[first + 8]
    bent = p + bend * wp.vec3(
        _value_noise(p * 0.7, 11) - 0.5,
        _value_noise(p * 0.7, 12) - 0.5,
        _value_noise(p * 0.7, 13) - 0.5,
    )
    share = 0.5 + materials[first + 7] * (_pattern(int(materials[first]), bent) - 0.5)
    one = wp.vec3(materials[first + 1], materials[first + 2], materials[first + 3])
    other = wp.vec3(materials[first + 4], materials[first + 5], materials[first + 6])
    fine = 0.6 * _value_noise(p * 2.3, 14) + 0.4 * _value_noise(p * 6.1, 15) - 0.5
    return (one * (1.0 - share) + other * share) * (1.0 + 2.0 * materials[first + 9] * fine)


@wp.func
def _lit(
    mesh: wp.uint64, place: wp.vec3, normal: wp.vec3, albedo: wp.vec3, toward: wp.vec3,
    light: wp.array(dtype=wp.float32), gloss: float, shininess: float,
) -> wp.vec3:  # fmt: skip
    """Colour under one lamp: diffuse, with a shadow, and the reflection of Blinn and Phong."""
    to_light = wp.vec3(light[0], light[1], light[2]) - place
    away = wp.length(to_light)
    to_light = to_light / away
    ambient = light[3]
    color = albedo * ambient
    facing = wp.dot(normal, to_light)
    if facing > 0.0:
        start = place + normal * (1.0e-4 * away)
        shadow = wp.mesh_query_ray(mesh, start, to_light, away)
        if not shadow.result:
            half = wp.normalize(to_light + toward)
            spark = gloss * wp.pow(wp.max(wp.dot(normal, half), 0.0), shininess)
            color = color + albedo * ((1.0 - ambient) * 1.3 * facing) + wp.vec3(spark, spark, spark)
    return color


@wp.kernel(enable_backward=False)
def _render(
    first: int, mesh: wp.uint64, faces: wp.array(dtype=wp.int32),
    normals: wp.array(dtype=wp.vec3), coordinates: wp.array(dtype=wp.vec3),
    material: wp.array(dtype=wp.int32), materials: wp.array(dtype=wp.float32),
    cameras: wp.array(dtype=wp.float32), focal: float, cx: float, cy: float,
    light: wp.array(dtype=wp.float32), width: int, height: int, samples: int,
    colors: wp.array(dtype=wp.float32), depths: wp.array(dtype=wp.float32),
):  # fmt: skip
    item = first + wp.tid()
    pixels = width * height
    view = item // pixels
    pixel = item - view * pixels
    at = view * 12
    center = wp.vec3(cameras[at], cameras[at + 1], cameras[at + 2])
    turn = wp.mat33(
        cameras[at + 3], cameras[at + 4], cameras[at + 5],
        cameras[at + 6], cameras[at + 7], cameras[at + 8],
        cameras[at + 9], cameras[at + 10], cameras[at + 11],
    )  # fmt: skip
    sum = wp.vec3(0.0, 0.0, 0.0)
    depths[item] = 0.0
    for sample in range(samples):
        # around the pixel's centre, on a ring
        angle = 2.399963 * float(sample)
        apart = wp.min(float(sample), 1.0) * 0.38
        x = float(pixel % width) + 0.5 + apart * wp.cos(angle)
        y = float(pixel // width) + 0.5 + apart * wp.sin(angle)
        # its z is 1: the distance in lengths of the ray is the depth
        ray = turn * wp.vec3((x - cx) / focal, (y - cy) / focal, 1.0)
        query = wp.mesh_query_ray(mesh, center, ray, 1.0e6)
        color = wp.vec3(light[4], light[5], light[6])
        if query.result:
            if sample == 0:
                depths[item] = query.t
            a = faces[3 * query.face]
            b = faces[3 * query.face + 1]
            c = faces[3 * query.face + 2]
            w = 1.0 - query.u - query.v
            normal = normals[a] * query.u + normals[b] * query.v + normals[c] * w
            normal = wp.normalize(normal)
            if wp.dot(normal, ray) > 0.0:
                normal = -normal
            spot = coordinates[a] * query.u + coordinates[b] * query.v + coordinates[c] * w
            row = material[query.face] * 12
            color = _lit(
                mesh, center + ray * query.t, normal, _albedo(materials, row, spot),
                -wp.normalize(ray), light, materials[row + 10], materials[row + 11],
            )  # fmt: skip
        sum = sum + color
    sum = sum / float(samples)
    for channel in range(3):
        colors[(view * 3 + channel) * pixels + pixel] = wp.clamp(sum[channel], 0.0, 1.0)
