"""Serve a page until the person stops it."""

from __future__ import annotations

import contextlib
import io
import webbrowser
from collections.abc import Callable

import viser

from maquette.viewer.blender import has_screen
from maquette.viewer.gate import Address, Gate

_ANY_PORT = 0


Build = Callable[[viser.ViserServer], object]


def start(build: Build, listen: str) -> tuple[viser.ViserServer, Gate]:
    """Start a page behind its gate.

    Args:
        build: Fills the page; runs before anyone can see it.
        listen: `host:port`.

    Raises:
        ConfigError: `listen` is not an address.
        UsageError: nobody can listen there.
    """
    address = Address.parse(listen)
    with contextlib.redirect_stdout(io.StringIO()):  # it would name the inner address
        server = viser.ViserServer(host="127.0.0.1", port=_ANY_PORT, verbose=False)
    server.request_share_url = _refuse_to_share
    try:
        build(server)
        gate = Gate(address, server.get_port())
        gate.open()
    except BaseException:
        stop(server)
        raise
    return server, gate


def serve(build: Build, listen: str) -> None:
    """Start a page, say where it is, open it when there is a screen, and wait for Ctrl-C."""
    server, gate = start(build, listen)
    print(f"open {gate.url}   (Ctrl-C ends it)", flush=True)
    if gate.address.is_loopback:
        print(f"from another machine: ssh -L {gate.address.port}:localhost:{gate.address.port} …")
        if has_screen():  # else a text browser would take the terminal
            webbrowser.open(gate.url)
    try:
        server.sleep_forever()
    except KeyboardInterrupt:
        print("\nclosed")
    finally:
        stop(server)


def stop(server: viser.ViserServer) -> None:
    """End a page, without the line that its server would print."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def _refuse_to_share(verbose: bool = True) -> None:
    """A window must not be able to publish the scene through a tunnel."""
