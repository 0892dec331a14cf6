"""Binary glTF 2.0 (.glb), as browsers, Blender and phones show it.

Vertices stay in COLMAP world units. glTF wants +y up, so a node rotation turns the scene's up
direction there: viewers show it upright, and who reads the buffers finds world coordinates.
Colours are linear light in glTF (3.9.2 of the specification) and 16 bit, because 8 linear bits
band in the shadows. Whether cameras saw a vertex, where the mesh tells it, is the attribute
`_SEEN`, 1 or 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maquette.errors import BadInput
from maquette.recon.mesh.gltf_file import INDEX_BUFFER, Buffers, StoredFile, scene_of, write_file
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.scene.color_space import linear_from_srgb, srgb_from_linear
from maquette.scene.georeference import Place

_COLORS_AT_ONCE = 1 << 18


def write_glb(
    path: Path, mesh: TriangleMesh, up: FloatArray, name: str, place: Place | None = None
) -> None:
    """Write a mesh, world units; `up` [3] is the world direction that viewers show upwards.

    Args:
        place: Where that is known: viewers show metres, and with a georeference north at -z.
    """
    buffers = Buffers()
    positions = mesh.vertices.astype("<f4", copy=False)
    attributes = {"POSITION": buffers.add(positions, "VEC3", limits=True)}
    if mesh.normals is not None:
        attributes["NORMAL"] = buffers.add(mesh.normals.astype("<f4", copy=False), "VEC3")
    if mesh.colors is not None:
        attributes["COLOR_0"] = buffers.add(_linear_rgba(mesh.colors), "VEC4")
    if mesh.seen is not None:
        attributes["_SEEN"] = buffers.add(mesh.seen.astype("<f4"), "SCALAR")
    corners = np.ascontiguousarray(mesh.faces, dtype="<i4").view("<u4").ravel()
    indices = buffers.add(corners, "SCALAR", target=INDEX_BUFFER)
    primitive = {"attributes": attributes, "indices": indices, "material": 0}
    material = {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9},
        "doubleSided": True,
    }
    write_file(path, scene_of([primitive], [material], up, name, place), buffers)


def read_glb(path: Path) -> TriangleMesh:
    """Read the places, faces and colours of a file that `write_glb` wrote, world units.

    Raises:
        BadInput: it is damaged, or of another form.
    """
    stored = StoredFile(path)
    try:
        (part,) = stored.document["meshes"][0]["primitives"]
        vertices = stored.array(part["attributes"]["POSITION"])
        faces = stored.array(part["indices"]).reshape(-1, 3).astype(np.int32)
        colors = part["attributes"].get("COLOR_0")
        light = None if colors is None else stored.array(colors)[:, :3] / 65535
    except (KeyError, IndexError, ValueError) as error:
        raise BadInput(f"`{path.name}` is no .glb of ours: {error!r}") from error
    return TriangleMesh(vertices, faces, colors=None if light is None else srgb_from_linear(light))


def _linear_rgba(srgb: FloatArray) -> np.ndarray:
    linear = np.full((len(srgb), 4), 65535, "<u2")
    for first in range(0, len(srgb), _COLORS_AT_ONCE):
        part = slice(first, first + _COLORS_AT_ONCE)
        linear[part, :3] = np.round(linear_from_srgb(srgb[part]) * 65535)
    return linear
