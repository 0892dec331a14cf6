"""Files of a capture: photos, masks, the true meshes, and the true cameras."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from captures.rendering import Photographer
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh, keep_faces

_QUALITY = 92
_THREADS = 2


def write_capture(name, capture, folder, width=None, photos=None):
    """Render a capture into `folder`: photos/, masks/, truth.ply, object.ply, ground_truth.json.

    Args:
        width: Of the pictures, pixels; by default the capture's own.
        photos: How many of its photos to render, evenly chosen; by default all.
    """
    width = width or capture.width
    count = len(capture.poses)
    chosen = np.unique(np.linspace(0, count - 1, photos or count).round().astype(int))
    photographer = Photographer(capture)
    for kind in ["photos"] + ["masks"] * capture.is_masked:
        (folder / kind).mkdir(parents=True, exist_ok=True)

    def write(number):
        photo, mask = photographer.photo(number, width)
        if capture.is_masked:
            Image.fromarray(mask).save(folder / "masks" / f"{number:03d}.png")
        Image.fromarray(photo).save(folder / "photos" / photo_name(number), quality=_QUALITY)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(write, chosen))
    world = TriangleMesh(capture.world.vertices, capture.world.faces)
    is_subject = np.arange(len(world.faces)) < capture.subject_faces
    write_ply(folder / "truth.ply", world)
    write_ply(folder / "object.ply", keep_faces(world, is_subject))
    document = truth_document(name, capture, width, chosen)
    (folder / "ground_truth.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


def photo_name(number):
    """The name of a capture's photo."""
    return f"{number:03d}.jpg"


def truth_document(name, capture, width, chosen):
    """What `ground_truth.json` says: as the sample's, with photo names and the whole world."""
    height = round(width * capture.height / capture.width)
    focal_px = capture.focal_px * width / capture.width
    return {
        "schema_version": 1,
        "name": name,
        "scene_type": capture.scene_type,
        "width": width,
        "height": height,
        "fl_x": focal_px,
        "fl_y": focal_px,
        "cx": 0.5 * width,
        "cy": 0.5 * height,
        "camera_axes": "x right, y down, z forward; pixel centres at +0.5",
        "object_mesh": "object.ply",
        "world_mesh": "truth.ply",
        "reach": capture.reach,
        "evaluation_box": None if capture.box is None else capture.box.round(4).tolist(),
        "frames": [
            {
                "name": photo_name(number),
                "world_from_cam": capture.poses[number].round(9).tolist(),
            }
            for number in chosen
        ],
    }
