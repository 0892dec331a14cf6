"""HTTP/1.1 over one connection that is kept: as much of it as an S3 store speaks.

The standard library's client reads the head of an answer with its parser for mail, which took more
of Python's time than anything else in a pull of small files; see docs/decisions/0003-storage.md.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Mapping
from string import hexdigits
from urllib.parse import urlsplit

LOST_AFTER_S = 60  # a peer that no longer acknowledges
_MOST_HEAD_BYTES = 1 << 16
_BUFFER_BYTES = 1 << 13
_CHUNK_BYTES = 1 << 16
_JOINED_BYTES = 1 << 14
_WITHOUT_BODY = (204, 304)


class Damaged(Exception):
    """What came is not what was sent: truncated, or its checksum differs. Worth another try."""


class Response:
    """An answer whose head has been read and whose body is still to come.

    Args:
        headers: By lower-case name.
        has_body: Else nothing follows the head.
    """

    def __init__(
        self, connection: Connection, status: int, headers: dict[str, str], has_body: bool
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._is_chunked = has_body and "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        if length and not length.isdecimal():
            raise Damaged(f"not a length: {length[:20]!r}")
        self._is_endless = has_body and not self._is_chunked and not length
        self._left = int(length) if has_body and length and not self._is_chunked else 0
        self._is_done = not (self._is_chunked or self._is_endless or self._left)
        closes = "close" in headers.get("connection", "").lower()
        self._is_last = closes or self._is_endless

    @property
    def etag(self) -> str:
        """The object's ETag without its quotes; empty where there is none."""
        return self.headers.get("etag", "").strip('"')

    @property
    def leaves_connection(self) -> bool:
        """Whether the next request may go over the same connection."""
        return self._is_done and not self._is_last

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; less only at the end of the body, 0 after it.

        Raises:
            Damaged: the body is cut off.
        """
        done = 0
        while done < len(buffer) and not self._is_done:
            if self._is_chunked and not self._left:
                self._next_chunk()
                continue
            room = len(buffer) - done
            size = room if self._is_endless else min(room, self._left)
            count = self._connection.receive(buffer[done : done + size])
            if not count and not self._is_endless:
                raise Damaged(f"{self._left} bytes are missing at the end")
            self._count(count)
            done += count
        return done

    def read(self, most: int = -1) -> bytes:
        """Read the body, or up to `most` bytes of it."""
        if self._is_done:
            return b""
        content = bytearray()
        chunk = memoryview(bytearray(_CHUNK_BYTES))
        while most < 0 or len(content) < most:
            size = _CHUNK_BYTES if most < 0 else min(_CHUNK_BYTES, most - len(content))
            count = self.readinto(chunk[:size])
            content += chunk[:count]
            if count < size:
                break
        return bytes(content)

    def _count(self, count: int) -> None:
        if self._is_endless:
            self._is_done = not count
            return
        self._left -= count
        if not self._left:
            if self._is_chunked:
                self._connection.line()
            else:
                self._is_done = True

    def _next_chunk(self) -> None:
        size = self._connection.line().partition(b";")[0].strip()
        if not size or size.strip(hexdigits.encode()):
            raise Damaged(f"not the size of a chunk: {size[:20]!r}")
        self._left = int(size, 16)
        if not self._left:
            while self._connection.line():  # what may follow the last chunk
                pass
            self._is_done = True


class Connection:
    """One connection to a host, made when it is first used.

    Args:
        host: A name or address, with a port where it is not the usual one.
        tls: None for a plain connection.
    """

    def __init__(self, host: str, tls: ssl.SSLContext | None) -> None:
        self.host = host
        self.sock: socket.socket | None = None
        self._tls = tls
        self._kept = b""

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | memoryview,
        timeout_s: float,
    ) -> Response:
        """Send a request and read the head of its answer.

        Args:
            target: Path and query, encoded.
            headers: Lower-case names; `host` among them.
            timeout_s: Of each wait for the other side.

        Raises:
            OSError: the connection is lost.
            Damaged: what comes is no HTTP.
        """
        lines = [f"{method} {target} HTTP/1.1", "accept-encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method in ("PUT", "POST"):
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if head.count(b"\n") != len(lines) + 1:
            raise ValueError("a header holds the end of a line")
        if self.sock is None:
            self._connect(min(timeout_s, LOST_AFTER_S))
        assert self.sock
        self.sock.settimeout(timeout_s)
        is_sent = self._send(head, body)
        status, answered = self._head()
        while 100 <= status < 200:
            status, answered = self._head()
        if not is_sent:
            answered["connection"] = "close"
        return Response(self, status, answered, method != "HEAD" and status not in _WITHOUT_BODY)

    def receive(self, buffer: memoryview) -> int:
        """Read what is there, into the buffer; 0 when the other side hung up."""
        if self._kept:
            count = min(len(buffer), len(self._kept))
            buffer[:count], self._kept = self._kept[:count], self._kept[count:]
            return count
        assert self.sock
        return self.sock.recv_into(buffer)

    def line(self) -> bytes:
        """Read to the end of a line, which is left out."""
        return self._until(b"\r\n")

    def is_lost(self) -> bool:
        """Whether the other side hung up since the last answer: nothing else comes unasked."""
        if self.sock is None:
            return False
        looking = select.poll()
        looking.register(self.sock, select.POLLIN)
        return bool(looking.poll(0))

    def abort(self) -> None:
        """Let whoever waits for the other side fail now; another thread may call it."""
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):  # it is closed already
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which is not to answer

    def close(self) -> None:
        """Hang up."""
        if self.sock is not None:
            self.sock.close()
        self.sock, self._kept = None, b""

    def _send(self, head: bytes, body: bytes | memoryview) -> bool:
        """Send a request; False when the other side no longer listens.

        A store that refuses early answers, then hangs up: its answer is still to be read.
        """
        assert self.sock
        try:
            if len(body) <= _JOINED_BYTES:
                self.sock.sendall(head + body)
            else:
                self.sock.sendall(head)
                self.sock.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _head(self) -> tuple[int, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status = rest[:3]
        if not version.startswith("HTTP/1.") or not status.isdecimal():
            raise Damaged(f"the answer is no HTTP: {first[:40]!r}")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if version == "HTTP/1.0":
            headers["connection"] = "close"
        return int(status), headers

    def _until(self, mark: bytes) -> bytes:
        assert self.sock
        while mark not in self._kept:
            if len(self._kept) > _MOST_HEAD_BYTES:
                raise Damaged("the head of the answer does not end")
            more = self.sock.recv(_BUFFER_BYTES)
            if not more:
                raise ConnectionError("the store hung up in the middle of its answer")
            self._kept += more
        found, _, self._kept = self._kept.partition(mark)
        return found

    def _connect(self, timeout_s: float) -> None:
        """Connect to the first address that answers; `abort` ends it once the name is resolved."""
        place = urlsplit(f"//{self.host}")
        port = place.port or (443 if self._tls else 80)
        failure = OSError(f"no address: {self.host}")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            place.hostname or "", port, type=socket.SOCK_STREAM
        ):
            self.sock = socket.socket(family, kind, protocol)
            try:
                self.sock.settimeout(timeout_s)
                self.sock.connect(address)
            except OSError as error:
                failure = error
                self.close()
            else:
                self._prepare(self.sock, place.hostname or "")
                return
        raise failure

    def _prepare(self, connected: socket.socket, name: str) -> None:
        """Let the kernel notice a peer that is gone, however long its answer takes; speak TLS."""
        for option in socket_options():
            connected.setsockopt(*option)
        if self._tls:
            secured = self._tls.wrap_socket(
                connected, server_hostname=name, do_handshake_on_connect=False
            )
            self.sock = secured
            secured.do_handshake()


def socket_options() -> list[tuple[int, int, int]]:
    """Level, name and value of what a connection to a store needs of the kernel."""
    watched = (
        ("TCP_KEEPIDLE", LOST_AFTER_S // 2),
        ("TCP_KEEPINTVL", LOST_AFTER_S // 6),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", LOST_AFTER_S * 1000),
    )
    return [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *(
            (socket.IPPROTO_TCP, getattr(socket, name), value)
            for name, value in watched
            if hasattr(socket, name)  # not every system has each
        ),
    ]
