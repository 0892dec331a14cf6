"""The gallery's own server: pages, state as JSON, and files of scenes. It only reads, but notes.

It listens on a loopback port that nobody is told of; `viewer.serving.AccessProxy` stands before it.
"""

from __future__ import annotations

import json
import mimetypes
import shutil
import sys
import traceback
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from maquette.errors import MaquetteError, NotFound
from maquette.scene import outputs
from maquette.scene.paths import Scene
from maquette.viewer import notes, page_data
from maquette.viewer.gallery import listing, models, scene_state, small_pictures

STATIC = Path(__file__).parent / "static"
# What of a scene is handed out: nothing that holds settings, addresses or names of this machine.
_SHOWN = ("results/", "images/", "images_raw/", "runs/", "dense/", page_data.FOLDER + "/")
_SHOWN_FILES = ("report.html",)
_SHOWN_RUNS = "/previews/"
_TYPES = {".js": "text/javascript", ".glb": "model/gltf-binary", ".ply": "application/octet-stream"}
_MOST_BODY = 1 << 20


class Gallery(ThreadingHTTPServer):
    """Serves the scenes below a folder.

    Args:
        scenes: The folder `scenes/`.
        page: The folder of the built web page.
        opening: The scene that the first visitor is led to; "" for the gallery.
    """

    daemon_threads = True

    def __init__(self, scenes: Path, page: Path, opening: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scenes, self.page, self.opening = scenes, page, opening

    @property
    def port(self) -> int:
        """Where it listens, on the loopback."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who went away is no news for the terminal; all else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def scene(self, name: str) -> Scene:
        """A scene by its name.

        Raises:
            NotFound: there is none.
        """
        root = self.scenes / name
        if "/" in name or not root.is_dir() or not listing.is_scene(root):
            raise NotFound(f"there is no scene `{name}`")
        return Scene(root)


class _Handler(BaseHTTPRequestHandler):
    server: Gallery
    protocol_version = "HTTP/1.1"
    server_version = "maquette"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with a page, a state or a file."""
        self._guarded(self._answer)

    def do_HEAD(self) -> None:
        """Answer as GET does, without the content."""
        self._guarded(self._answer)

    def do_PUT(self) -> None:
        """Keep the notes of a scene."""
        self._guarded(self._keep)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the terminal is the person's."""

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except NotFound as error:
            self._problem(HTTPStatus.NOT_FOUND, error)
        except MaquetteError as error:
            self._problem(HTTPStatus.UNPROCESSABLE_ENTITY, error)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the visitor went away
        except Exception as error:  # a fault of ours: the page goes on, the terminal tells where
            traceback.print_exc()
            words = MaquetteError(f"this could not be shown: {type(error).__name__}: {error}")
            self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, words)

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        first, _, rest = path.lstrip("/").partition("/")
        if not first:
            self._file(STATIC / "gallery.html")
        elif first == "static":
            self._file(_inside(STATIC, rest))
        elif path == "/page/manifest.json":
            self._json(models.demo_manifest())
        elif path == "/page/sample.glb":
            self._send(models.demo_mesh(), "model/gltf-binary")
        elif first == "page":
            self._file(_inside(self.server.page, rest or "index.html"))
        elif path == "/scenes.json":
            told = {"scenes": listing.scenes(self.server.scenes), "opening": self.server.opening}
            self._json(told)
        elif first == "scenes":
            name, _, below = rest.partition("/")
            self._scene(self.server.scene(name), below, parse_qs(parts.query))
        else:
            raise NotFound(f"there is no page `{path}`")

    def _scene(self, scene: Scene, below: str, query: dict[str, list[str]]) -> None:
        if not below:
            self._file(STATIC / "scene.html")
        elif below == "state.json":
            self._json(scene_state.state(scene))
        elif below == "manifest.json":
            named = [name for name in query.get("pipeline", []) if name]
            self._json(models.manifest(scene, _known(scene, named)))
        elif below == "preview.json":
            model = _shown(scene, query.get("model", [""])[0])
            self._json(models.preview_manifest(scene, model, _about(scene)))
        elif below == "cover.jpg":
            source = listing.cover_source(scene)
            if source is None:
                raise NotFound(f"`{scene.name}` has no picture yet")
            self._send(small_pictures.cover(source), "image/jpeg")
        elif below.startswith("thumbnail/"):
            photo = _shown(scene, below.removeprefix("thumbnail/"))
            self._send(small_pictures.thumbnail(photo), "image/jpeg")
        elif below.startswith("depth/"):
            depth = _shown(scene, below.removeprefix("depth/"))
            self._send(small_pictures.depth_picture(depth), "image/jpeg")
        else:
            self._file(_shown(scene, below))

    def _keep(self) -> None:
        path = unquote(urlsplit(self.path).path)
        name, _, below = path.removeprefix("/scenes/").partition("/")
        length = int(self.headers.get("content-length") or 0)
        if not path.startswith("/scenes/") or below != "annotations.json" or length > _MOST_BODY:
            raise NotFound(f"nothing is kept at `{path}`")
        notes.keep(self.server.scene(name), self.rfile.read(length))
        self._json({"kept": True})

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value, allow_nan=False).encode(), "application/json")

    def _problem(self, status: HTTPStatus, error: MaquetteError) -> None:
        told = {"problem": error.what, "detail": error.detail, "hint": error.hint}
        self._send(json.dumps(told).encode(), "application/json", status)

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _file(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"there is no file `{path.name}`")
        facts = path.stat()
        if self._has_it(facts.st_mtime):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.end_headers()
            return
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(facts.st_size))
        self.send_header("Last-Modified", formatdate(facts.st_mtime, usegmt=True))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            with open(path, "rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)

    def _has_it(self, modified_s: float) -> bool:
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", ""))
        except ValueError:
            return False
        return int(modified_s) <= since.timestamp()


def _inside(folder: Path, name: str) -> Path:
    """A file below a folder.

    Raises:
        NotFound: it would lie elsewhere.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise NotFound(f"there is no file `{name}`")
    return path


def _shown(scene: Scene, name: str) -> Path:
    """A file of a scene that may be shown.

    Raises:
        NotFound: it may not, or would lie elsewhere.
    """
    path = _inside(scene.root, name)
    place = path.relative_to(scene.root.resolve()).as_posix()
    is_shown = place in _SHOWN_FILES or place.startswith(_SHOWN)
    if not is_shown or (place.startswith("runs/") and _SHOWN_RUNS not in place):
        raise NotFound(f"there is no file `{name}`")
    return path


def _known(scene: Scene, named: list[str]) -> list[str]:
    known = outputs.pipelines_of(scene.root)
    for name in named:
        if name not in known:
            raise NotFound(f"`{scene.name}` has no results of `{name}`")
    return named


def _about(scene: Scene) -> dict[str, Any]:
    """How the finished scene stands; {} while there is none."""
    try:
        return page_data.renewed(scene)
    except MaquetteError:
        return {}
