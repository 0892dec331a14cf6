"""An input at a URL: fetched, taken up again, and never more than it may be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from input_scenes import contents, empty_scene, jpeg, prepare, zipped

from maquette.errors import BadInput, MaquetteError
from maquette.recon.frames import download
from maquette.scene.paths import Scene


class Shop(BaseHTTPRequestHandler):
    """Serves one body; `breaks` times it hangs up half way. Understands Range."""

    body = b""
    breaks = 0

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        rest = type(self).body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if type(self).breaks:
            type(self).breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return empty_scene(tmp_path)


@pytest.fixture
def shop() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_is_fetched_and_a_broken_line_taken_up(
    scene: Scene, tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "p.zip", {f"{i}.jpg": jpeg(i) for i in range(3)})
    monkeypatch.setattr(Shop, "body", archive.read_bytes())
    monkeypatch.setattr(Shop, "breaks", 2)
    key = prepare(scene, f"{shop}/my%20photos.zip?signature=secret").key
    assert set(contents(scene.input)) == {"0.jpg", "1.jpg", "2.jpg"}
    assert prepare(scene, "").key == key


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("file:///etc/passwd", "only http"),
        ("ftp://x/y.mp4", "only http"),
        ("{shop}/missing.mp4", "404"),
        ("{shop}/away.mp4", "302|redirects"),
    ],
)
def test_bad_addresses(scene: Scene, shop: str, address: str, sentence: str) -> None:
    with pytest.raises(MaquetteError, match=sentence):
        prepare(scene, address.format(shop=shop))
    assert sorted(path.name for path in scene.root.iterdir()) == ["stages"]


def test_a_download_larger_than_the_limit_is_refused(
    scene: Scene, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shop, "body", b"x" * 5000)
    monkeypatch.setattr(download, "MAX_BYTES", 4000)
    with pytest.raises(BadInput, match="5000"):
        prepare(scene, f"{shop}/a.mp4")


def test_secrets_of_an_address_are_not_shown() -> None:
    shown = download.without_secrets("https://me:pw@host/a.zip?sig=1#x")
    assert shown == "https://host/a.zip"
