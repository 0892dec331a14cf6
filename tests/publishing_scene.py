"""A small scene as publishing sees it: a manifest, the files that it names, and a bare page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.publishing.choosing import chosen
from maquette.publishing.site import Site, compose
from maquette.scene.paths import Scene


def mesh(pipeline: str, size: int, faces: int = 1000) -> dict[str, Any]:
    """A mesh of the manifest, in `results/<pipeline>/owl.glb`."""
    url = f"results/{pipeline}/owl.glb"
    return {"url": url, "size_bytes": size, "faces": faces, "pipeline": pipeline, "name": "m"}


def manifest(**more: Any) -> dict[str, Any]:
    """What the data plane tells of a scene with splats and a mesh; addresses below the scene."""
    return {
        "schema_version": 1, "title": "owl", "splat_pipeline": "splat", "best_format": "sog",
        "formats": {name: f"results/splat/owl.{name}" for name in ("sog", "splat", "ply")},
        "size_bytes": {"sog": 700, "splat": 1500, "ply": 5000},
        "lost_db": {"sog": 0.1, "splat": 0.3}, "splat_url": "results/splat/owl.splat",
        "meshes": [mesh("photogrammetry", 3000)], "points": [], "remarks": ["private"],
        "cameras": [{
            "name": "images/000001.jpg", "photo": "images/000001.jpg", "title": "IMG_7.HEIC",
            "thumbnail": ".maquette/page/thumbnails/000001.jpg", "position": [0, 0, 0],
        }],
        "picture": ".maquette/page/picture.jpg", "link_picture": ".maquette/page/link.jpg", **more,
    }  # fmt: skip


def write_scene(root: Path) -> Scene:
    """Write all files that the manifest names, each with its own name as content."""
    told = manifest()
    names = [*told["formats"].values(), told["meshes"][0]["url"], told["picture"]]
    names += [told["link_picture"], told["cameras"][0]["thumbnail"], "images/000001.jpg"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return Scene(root)


def write_page(folder: Path) -> Path:
    """A page that shows nothing, of the parts that the real one has."""
    folder.mkdir()
    (folder / "index.html").write_text(
        '<html><head><title>x</title><link rel="stylesheet" href="page.css"></head>'
        '<body><script src="page.js"></script></body></html>'
    )
    (folder / "page.css").write_text("body { margin: 0 }")
    (folder / "page.js").write_text('const end = "</script>";')
    (folder / "licenses.txt").write_text("Apache")
    return folder


def site_of(scene: Scene, page: Path, **more: Any) -> Site:
    """The site of a scene with all that its manifest names."""
    return compose(scene, chosen(manifest(**more), 0, best_only=False), page)
