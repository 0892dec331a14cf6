"""HTTP over a kept connection, beside the standard library's reading of the same bytes."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maquette.storage.connection import Connection, Damaged, Response
from s3_server import in_thread

TOKENS = st.text("abcXYZ-0", min_size=1, max_size=8)
HEADERS = st.dictionaries(
    TOKENS.map("x-".__add__), st.text("abc :;=\t\"'/~", max_size=12).map(str.strip), max_size=4
)


class _File:
    """What the standard library needs of a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._content)


def answered(content: bytes, pieces: int = 0, method: str = "GET") -> Iterator[Response]:
    """Ask once, and once more over the same connection if that is allowed."""
    ours, theirs = socket.socketpair()
    connection = Connection("127.0.0.1", None)
    connection.sock = ours

    def serve() -> None:
        with theirs:
            size = pieces or max(len(content), 1)
            with suppress(BrokenPipeError):  # a reader that has had enough hangs up
                for start in range(0, len(content), size):
                    theirs.sendall(content[start : start + size])
            with suppress(OSError):
                theirs.shutdown(socket.SHUT_WR)
                while theirs.recv(1 << 16):
                    pass

    thread = in_thread(serve)
    try:
        response = connection.ask(method, "/", {"host": "here"}, b"", 5)
        yield response
        while response.leaves_connection:
            try:
                response = connection.ask(method, "/", {"host": "here"}, b"", 5)
            except ConnectionError:
                return
            yield response
    finally:
        connection.close()
        thread.join(10)


def chunked(body: bytes, sizes: list[int], extra: str) -> bytes:
    """A body in chunks of these sizes, the last one as long as what is left."""
    pieces = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    pieces = [piece for piece in [*pieces, body] if piece]
    return (
        b"".join(b"%X%s\r\n%s\r\n" % (len(piece), extra.encode(), piece) for piece in pieces)
        + b"0\r\n"
        + (b"x-trailer: 1\r\n" if extra else b"")
        + b"\r\n"
    )


@settings(deadline=None, max_examples=60)
@given(
    status=st.sampled_from([200, 206, 404, 503]),
    headers=HEADERS,
    body=st.binary(max_size=300),
    sizes=st.none() | st.lists(st.integers(1, 90), max_size=4),
    extra=st.sampled_from(["", ";a=b"]),
    pieces=st.integers(1, 400),
)
def test_answers_read_as_the_standard_library_reads_them(
    status: int,
    headers: dict[str, str],
    body: bytes,
    sizes: list[int] | None,
    extra: str,
    pieces: int,
) -> None:
    """Whatever comes in one piece or in many; and the next answer begins where this one ends."""
    framing = {"Content-Length": str(len(body))}
    if sizes is not None:
        framing = {"Transfer-Encoding": "chunked"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**framing, **headers}.items())
    content = f"HTTP/1.1 {status} So\r\n{head}\r\n".encode() + (
        body if sizes is None else chunked(body, sizes, extra)
    )
    twin = http.client.HTTPResponse(_File(content))
    twin.begin()
    wanted = (twin.status, {name.lower(): value for name, value in twin.getheaders()}, twin.read())
    seen = [
        (response.status, response.headers, response.read())
        for response in answered(content * 2, pieces)
    ]
    assert seen == [wanted, wanted]


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_a_buffer_is_filled_until_the_body_ends(chunk: int) -> None:
    content = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n" + bytes(range(20))
    for response in answered(content, 3):
        buffer, came = memoryview(bytearray(chunk)), b""
        while count := response.readinto(buffer):
            came += bytes(buffer[:count])
            assert count == chunk or len(came) == 20
        assert came == bytes(range(20)) and response.readinto(buffer) == 0


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 20\r\n\r\n"),
        ("DELETE", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("PUT", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ],
)
def test_answers_without_a_body_leave_the_connection(method: str, head: str) -> None:
    seen = [
        (response.status, response.read()) for response in answered(head.encode() * 3, 0, method)
    ]
    assert len(seen) == 3 and set(seen) == {seen[0]} and seen[0][1] == b""


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 4\r\n\r\n",
    ],
)
def test_some_answers_are_the_last_of_their_connection(head: str) -> None:
    assert [response.read() for response in answered(head.encode() + b"body")] == [b"body"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", Damaged),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nshort", Damaged),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n", ConnectionError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnothing\r\n", Damaged),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nwhole", Damaged),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -9\r\n\r\n", Damaged),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, Damaged),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Damaged),
        (b"HTTP/1.1 200 OK\r\ncontent-", ConnectionError),
        (b"", ConnectionError),
    ],
)
def test_answers_that_are_cut_off_or_no_answers_are_noticed(
    content: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        [response.read() for response in answered(content)]


def test_an_error_is_read_as_far_as_wanted() -> None:
    content = b"HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\n0123456789"
    seen = [(response.read(4), response.leaves_connection) for response in answered(content)]
    assert seen == [(b"0123", False)]


def test_a_long_wait_for_an_answer_is_no_long_wait_for_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[float | None] = []

    def unreachable(made: socket.socket, address: tuple[str, int]) -> None:
        limits.append(made.gettimeout())
        raise TimeoutError

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    for timeout_s in (5, 900):
        with pytest.raises(TimeoutError):
            Connection("127.0.0.1", None).ask("GET", "/", {"host": "here"}, b"", timeout_s)
    assert limits == [5, 60]


@pytest.mark.parametrize("answers", [0, 1])
def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    """A name may stand for several machines, or for one that listens to one family alone."""
    tried: list[tuple[str, int]] = []

    def connect(made: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address)
        if len(tried) == 1 or not answers:
            raise ConnectionRefusedError(f"nobody at {address[0]}")

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{n}", 80)) for n in (1, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises((OSError, Damaged)) as caught:
        Connection("store", None).ask("GET", "/", {"host": "here"}, b"", 5)
    assert [address[0] for address in tried] == ["10.0.0.1", "10.0.0.2"]
    assert answers or "10.0.0.2" in str(caught.value)


def test_a_header_can_not_smuggle_another_one() -> None:
    connection = Connection("127.0.0.1", None)
    with pytest.raises(ValueError, match="end of a line"):
        connection.ask("GET", "/", {"host": "here", "if-match": "a\r\nx-other: b"}, b"", 5)
    assert connection.sock is None


def test_requests_are_read_by_the_standard_library() -> None:
    """Method, target, headers and body, small and large; bodies have a length, GET has none."""
    from http.server import BaseHTTPRequestHandler

    class Handler(BaseHTTPRequestHandler):
        def __init__(self, content: bytes) -> None:
            self.rfile, self.raw_requestline = io.BytesIO(content), b""
            self.raw_requestline = self.rfile.readline()
            assert self.parse_request()

    for method, body in (("GET", b""), ("PUT", b""), ("PUT", b"small"), ("PUT", bytes(100_000))):
        handler = Handler(_sent(method, "/a%20b?c=d", {"host": "h", "x-a": "b c"}, body))
        length = handler.headers.get("content-length")
        assert (handler.command, handler.path) == (method, "/a%20b?c=d")
        assert handler.headers["accept-encoding"] == "identity"
        assert handler.headers["x-a"] == "b c" and handler.rfile.read() == body
        assert length == (None if method == "GET" else str(len(body)))


def _sent(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    ours, theirs = socket.socketpair()
    connection, came = Connection("127.0.0.1", None), bytearray()
    connection.sock = ours

    def serve() -> None:
        theirs.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        while more := theirs.recv(1 << 16):
            came.extend(more)

    thread = in_thread(serve)
    connection.ask(method, target, headers, body, 5)
    connection.close()
    thread.join(10)
    theirs.close()
    return bytes(came)
