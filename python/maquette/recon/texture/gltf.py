"""Textured meshes as binary glTF 2.0 with their pages inside, written and read back.

Frame and turn are those of `maquette.recon.mesh.gltf`. In glTF v runs downwards, as here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.mesh.gltf_file import INDEX_BUFFER, Buffers, StoredFile, scene_of, write_file
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.texture.textured_mesh import Page, TexturedMesh
from maquette.scene.georeference import Place

_QUALITY = 95  # of JPEG
_FINE_COLORS = 90  # from this quality on
_LINEAR, _LINEAR_MIPMAP, _CLAMP = 9729, 9987, 33071


def write_textured_glb(
    path: Path, textured: TexturedMesh, up: FloatArray, name: str, place: Place | None = None,
    *, quality: int = _QUALITY,
) -> None:  # fmt: skip
    """Write a mesh, world units; `up` [3] is the world direction that viewers show upwards.

    Args:
        quality: Of the pages' JPEG, 1 to 95; from 90 on colours are as fine as brightness.
    """
    buffers, mesh = Buffers(), textured.mesh
    vertex = textured.vertex_of_coordinate
    positions = mesh.vertices[vertex].astype("<f4")
    attributes = {"POSITION": buffers.add(positions, "VEC3", limits=True)}
    if mesh.normals is not None:
        attributes["NORMAL"] = buffers.add(mesh.normals[vertex].astype("<f4"), "VEC3")
    places = np.ascontiguousarray(textured.coordinates, "<f4")
    attributes["TEXCOORD_0"] = buffers.add(places, "VEC2")
    primitives = []
    for number in range(len(textured.pages)):
        corners = textured.corners[textured.page_of_face == number]
        indices = buffers.add(corners.astype("<u4").ravel(), "SCALAR", target=INDEX_BUFFER)
        primitives.append({"attributes": attributes, "indices": indices, "material": number})
    views = [buffers.add_file(_jpeg(page, quality)) for page in textured.pages]
    document = scene_of(primitives, [_material(n) for n in range(len(views))], up, name, place)
    document |= {
        "samplers": [{"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP,
                      "wrapS": _CLAMP, "wrapT": _CLAMP}],
        "images": [{"bufferView": view, "mimeType": "image/jpeg"} for view in views],
        "textures": [{"sampler": 0, "source": number} for number in range(len(views))],
    }  # fmt: skip
    write_file(path, document, buffers)


def read_textured_glb(path: Path) -> TexturedMesh:
    """Read a file that `write_textured_glb` wrote.

    Raises:
        BadInput: it is damaged, or has no texture.
    """
    stored = StoredFile(path)
    try:
        primitives = stored.document["meshes"][0]["primitives"]
        attributes = primitives[0]["attributes"]
        vertices = stored.array(attributes["POSITION"])
        places = stored.array(attributes["TEXCOORD_0"])
        faces = [stored.array(part["indices"]).reshape(-1, 3) for part in primitives]
        pages = [_decoded(stored.file(image["bufferView"])) for image in stored.document["images"]]
    except (KeyError, IndexError, ValueError, OSError) as error:
        raise BadInput(f"`{path.name}` is no textured .glb of ours: {error!r}") from error
    page = np.repeat(np.arange(len(faces), dtype=np.int32), [len(part) for part in faces])
    corners = np.concatenate(faces).astype(np.int32)
    return TexturedMesh(TriangleMesh(vertices, corners), places, corners, page, pages)


def _material(number: int) -> dict[str, Any]:
    return {
        "name": f"page {number + 1}",
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": number}, "metallicFactor": 0.0, "roughnessFactor": 1.0,
        },
        "doubleSided": True,
    }  # fmt: skip


def _jpeg(page: Page, quality: int) -> bytes:
    file = io.BytesIO()
    fine = {"subsampling": 0} if quality >= _FINE_COLORS else {}
    Image.fromarray(page).save(file, "JPEG", quality=quality, **fine)
    return file.getvalue()


def _decoded(content: memoryview) -> Page:
    with Image.open(io.BytesIO(content)) as opened:
        return np.asarray(opened.convert("RGB"))
