"""A static site of one scene: the page, its manifest, and the files that it names."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maquette.scene.paths import Scene

INDEX, MANIFEST = "index.html", "manifest.json"
Content = bytes | Path
Address = Callable[[str], str]
_PUBLIC_KEYS = (
    "schema_version", "title", "description", "license", "provenance", "best_format", "size_bytes",
    "splats", "up", "ground_height", "scene_bounds", "region", "start_view", "camera_defaults",
    "walk_camera_defaults", "viewer_mode", "viewer_modes", "metadata", "georeference", "numbers",
    "unit", "units_per_scene_unit", "background", "annotations",
)  # fmt: skip


@dataclass
class Site:
    """Files of a site by their names in it.

    Attributes:
        manifest: Addresses are names of `files`.
        page: What the page itself is made of.
        files: What the manifest names.
    """

    manifest: dict[str, Any]
    page: dict[str, Content] = field(default_factory=dict)
    files: dict[str, Content] = field(default_factory=dict)
    link_picture: str = ""


def compose(scene: Scene, chosen: Mapping[str, Any], page: Path) -> Site:
    """Put a site together.

    Args:
        chosen: A manifest whose addresses are below the scene's folder.
        page: The folder of the built web page.
    """
    site = Site({key: chosen[key] for key in _PUBLIC_KEYS if key in chosen})
    for path in sorted(page.iterdir()):
        if path.suffix in (".js", ".css", ".txt", ".svg", ".html"):
            site.page[path.name] = path

    def published(address: str, name: str = "") -> str:
        path = scene.root / address
        wanted = name or _free_name(path, site.files)
        site.files[wanted] = path
        return wanted

    if chosen.get("formats"):
        names = {form: published(address) for form, address in chosen["formats"].items()}
        by_address = {chosen["formats"][form]: name for form, name in names.items()}
        site.manifest |= {"formats": names, "splat_url": by_address[chosen["splat_url"]]}
    for key in ("meshes", "points"):
        entries = [{**entry, "url": published(entry["url"])} for entry in chosen.get(key, ())]
        site.manifest[key] = entries
    site.manifest["cameras"] = [_camera(camera, published) for camera in chosen["cameras"]]
    for key in ("picture", "link_picture", "collision_url"):
        if chosen.get(key):
            site.manifest[key] = published(chosen[key])
    site.link_picture = site.manifest.pop("link_picture", "")
    return site


def _free_name(path: Path, taken: Mapping[str, Content]) -> str:
    """The file's own name, with its pipeline's before where another has it."""
    same = taken.get(path.name)
    return path.name if same is None or same == path else f"{path.parent.name}_{path.name}"


def _camera(camera: Mapping[str, Any], published: Callable[[str, str], str]) -> dict[str, Any]:
    """A camera with its small picture, without the photo and what the file was called."""
    kept = {key: value for key, value in camera.items() if key not in ("photo", "title")}
    kept["name"] = Path(camera["name"]).name
    if "thumbnail" in camera:
        small = camera["thumbnail"]
        kept["thumbnail"] = published(small, f"thumbnails/{Path(small).name}")
    return kept


def addressed(manifest: Mapping[str, Any], address: Address) -> dict[str, Any]:
    """The manifest with another address in place of each name."""
    told = dict(manifest)
    if told.get("formats"):
        told["formats"] = {form: address(name) for form, name in told["formats"].items()}
        told["splat_url"] = address(told["splat_url"])
    for key, part in (("meshes", "url"), ("points", "url"), ("cameras", "thumbnail")):
        told[key] = [
            {**entry, part: address(entry[part])} if entry.get(part) else entry
            for entry in told.get(key, ())
        ]
    for key in ("picture", "collision_url"):
        if told.get(key):
            told[key] = address(told[key])
    return told


def index_page(site: Site, picture: str, *, manifest: str = "", versioned: bool = False) -> str:
    """`index.html` with title, and what services read that show a preview of a link.

    Args:
        picture: Address of the link's picture; "" for none.
        manifest: Address of the manifest, where it does not lie beside the page.
        versioned: Addresses of script and style change with their content.
    """
    text = read_text(site.page[INDEX])
    title = html.escape(str(site.manifest.get("title", "scene")))
    text = re.sub(r"<title>.*?</title>", f"<title>{title} · maquette</title>", text, count=1)
    told = {"og:title": site.manifest.get("title"), "og:type": "website", "og:image": picture}
    told["og:description"] = site.manifest.get("description")
    lines = [
        f'<meta property="{name}" content="{html.escape(str(value))}">'
        for name, value in told.items()
        if value
    ]
    lines.append('<meta name="robots" content="noindex">')
    if manifest:
        lines.append(f'<meta name="maquette-manifest" content="{html.escape(manifest)}">')
    text = text.replace("</head>", "  " + "\n  ".join(lines) + "\n</head>", 1)
    if versioned:
        for name in [name for name in site.page if name.endswith((".js", ".css"))]:
            text = text.replace(f'"{name}"', f'"{version_of(name, site.page[name])}"')
    return text


def version_of(name: str, content: Content) -> str:
    """An address that changes with the content, so that it may be kept for good."""
    return f"{name}?v={hashlib.sha256(read_bytes(content)).hexdigest()[:10]}"


def as_json(manifest: Mapping[str, Any]) -> bytes:
    """The file's content."""
    return json.dumps(manifest, separators=(",", ":"), allow_nan=False).encode()


def read_bytes(content: Content) -> bytes:
    """A file's bytes, wherever they are."""
    return content.read_bytes() if isinstance(content, Path) else content


def read_text(content: Content) -> str:
    """A file's text."""
    return read_bytes(content).decode("utf-8")
