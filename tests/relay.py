"""A port that stays while what stands behind it comes and goes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE = 1 << 16


@contextmanager
def relay(connect: Callable[[], socket.socket], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Pass each connection to a port of this machine on to a new one from `connect`.

    Yields the port. Where `connect` fails, the caller is hung up on.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_relay_all, args=(listener, connect, tls), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _relay_all(
    listener: socket.socket, connect: Callable[[], socket.socket], tls: ssl.SSLContext | None
) -> None:
    while True:
        try:
            near, _ = listener.accept()
            near = tls.wrap_socket(near, server_side=True) if tls else near
        except ssl.SSLError:  # somebody without a certificate
            continue
        except OSError:
            return
        try:
            far = connect()
        except OSError:
            near.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
