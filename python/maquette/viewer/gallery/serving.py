"""Start the gallery behind the proxy that checks who may come in."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maquette.viewer.blender import has_screen
from maquette.viewer.gallery.server import Gallery
from maquette.viewer.serving import AccessProxy, Address

_POLL_S = 0.05  # how soon it notices that it is to end


@contextmanager
def started(scenes: Path, page: Path, listen: str, opening: str = "") -> Iterator[AccessProxy]:
    """Serve the scenes below a folder while the block runs.

    Args:
        listen: `host:port`; beyond this machine visitors need the token of the proxy's address.

    Raises:
        ConfigError: `listen` is not an address.
        UsageError: nobody can listen there.
    """
    address = Address.parse(listen)
    gallery = Gallery(scenes, page, opening)
    answering = threading.Thread(
        target=gallery.serve_forever, args=(_POLL_S,), daemon=True, name="gallery"
    )
    answering.start()
    try:
        proxy = AccessProxy(address, gallery.port)
        proxy.open()
        yield proxy
    finally:
        gallery.shutdown()
        gallery.server_close()


def serve(scenes: Path, page: Path, listen: str, opening: str, *, is_opened: bool) -> None:
    """Serve the scenes, say where, and wait for Ctrl-C.

    Args:
        opening: The scene that is shown first; "" for all of them.
        is_opened: Open the browser even where no screen is seen.
    """
    with started(scenes, page, listen, opening) as proxy:
        print(f"open {proxy.url}   (Ctrl-C ends it)", flush=True)
        if proxy.address.is_loopback:
            port = proxy.address.port
            print(f"from another machine: ssh -L {port}:localhost:{port} …", flush=True)
        if is_opened or (proxy.address.is_loopback and has_screen()):
            webbrowser.open(proxy.url)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("\nclosed")
