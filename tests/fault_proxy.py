"""A small HTTP proxy in front of an S3 server that delays, refuses, cuts and falsifies."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from http_proxy import reached

_CHUNK = 1 << 16


@dataclass
class Fault:
    """What to do to a request instead of passing it on plainly.

    Args:
        status, word: Answer so at once.
        answer_bytes: Pass only so many bytes of the answer's body, then hang up.
        request_bytes: Read only so many bytes of the request's body, then hang up.
        etag: Put this ETag into the answer.
        flip: Change the first byte of the answer's body.
        said: More elements of the refusal's body.
        headers: More headers of the refusal.
    """

    status: int = 0
    word: str = ""
    answer_bytes: int = -1
    request_bytes: int = -1
    etag: str = ""
    flip: bool = False
    said: str = ""
    headers: tuple[tuple[str, str], ...] = ()


Judge = Callable[[str, str], Fault | None]
Gate = Callable[[Mapping[str, str]], Fault | None]


@dataclass
class Proxy:
    """A running proxy.

    Args:
        judge: Chooses a fault by a request's method and path.
        gate: Chooses one by its headers, before.
    """

    endpoint: str
    upstream: str
    judge: Judge = lambda method, path: None
    delay_s: float = 0.0
    gate: Gate = lambda headers: None
    seen: list[str] = field(default_factory=list)


@contextmanager
def proxy_to(
    upstream: str,
    judge: Judge | None = None,
    delay_s: float = 0.0,
    gate: Gate | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Proxy]:
    """Serve on an address of this machine, the loopback one if none is given, until the end."""
    server = ThreadingHTTPServer((host, 0), _Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://{host}:{server.server_port}", upstream)
    proxy.judge, proxy.delay_s = judge or proxy.judge, delay_s
    proxy.gate = gate or proxy.gate
    server.proxy = proxy  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def _pass(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        proxy.seen.append(f"{self.command} {self.path}")
        if proxy.delay_s:
            threading.Event().wait(proxy.delay_s)
        fault = proxy.gate(self.headers) or proxy.judge(self.command, self.path) or Fault()
        length = int(self.headers.get("content-length", 0))
        if fault.request_bytes >= 0:
            self.rfile.read(min(fault.request_bytes, length))
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if fault.status:
            self._refuse(fault)
            return
        try:
            self._answer(proxy, body, fault)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # upstream is away: hang up, as a gateway would

    def _refuse(self, fault: Fault) -> None:
        told = f"<Code>{fault.word}</Code><Message>told by a test</Message>{fault.said}"
        text = f"<Error>{told}</Error>".encode()
        self.send_response_only(fault.status)
        for name, value in fault.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _answer(self, proxy: Proxy, body: bytes, fault: Fault) -> None:
        upstream = http.client.HTTPConnection(urlsplit(reached(proxy.upstream)).netloc, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        # The signature is for the name by which the client knows us, so Host is passed on.
        upstream.request(self.command, self.path, body or None, headers)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in ("transfer-encoding", "connection", "date", "server"):
                continue
            changed = fault.etag and name.lower() == "etag"
            self.send_header(name, f'"{fault.etag}"' if changed else value)
        if answer.getheader("content-length") is None:
            self.close_connection = True
        self.send_header("Date", answer.getheader("date") or "")
        self.end_headers()
        self._copy(answer, fault)
        upstream.close()

    def _copy(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        left, first = fault.answer_bytes, True
        while chunk := answer.read(_CHUNK):
            if first and fault.flip:
                chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
            first = False
            if fault.answer_bytes >= 0:
                chunk = chunk[:left]
                left -= len(chunk)
            self.wfile.write(chunk)
            if fault.answer_bytes >= 0 and left == 0:
                self.close_connection = True
                return

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
