"""Serve a page until the person stops it, behind a proxy that checks who may come in.

The page's own server listens on a loopback port that is published nowhere. The proxy checks the
head of each connection and then passes bytes on, both ways. It refuses names of other machines
(a page elsewhere could rebind its name to this one), web sockets opened by other pages, and,
when it listens beyond this machine, whoever does not bring the token.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import io
import secrets
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

import viser

from maquette.errors import ConfigError, UsageError
from maquette.own_address import opened_as
from maquette.viewer.blender import has_screen

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HEAD_BYTES = 64 << 10
_HEAD_TIMEOUT_S = 20.0
_CHUNK_BYTES = 1 << 18
_COOKIE = "maquette"
_ANY_PORT = 0

Build = Callable[[viser.ViserServer], object]


@dataclass(frozen=True)
class Address:
    """Where a page listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, or a port alone (this machine only).

        Raises:
            ConfigError: it is neither.
        """
        host, _, port = text.strip().rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if not port.isdigit() or not 0 <= int(port) < 65536:
            raise ConfigError(f"LISTEN is not host:port: `{text}`", hint="LISTEN=127.0.0.1:8080")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        return self.host in _LOOPBACK


class AccessProxy:
    """Passes allowed connections on to the page's own port.

    Args:
        address: Where to listen; port 0 takes a free one.
        inner_port: The page's port on the loopback.
    """

    def __init__(self, address: Address, inner_port: int) -> None:
        self.address, self._inner_port = address, inner_port
        self.token = "" if address.is_loopback else secrets.token_urlsafe(24)
        self._loop = asyncio.new_event_loop()

    @property
    def url(self) -> str:
        """What to open in a browser."""
        host = opened_as(self.address.host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.address.port}/" + (f"?token={self.token}" * bool(self.token))

    def open(self) -> None:
        """Start to listen, in a thread of its own.

        Raises:
            UsageError: the address is taken or not of this machine.
        """
        threading.Thread(target=self._loop.run_forever, daemon=True, name="access-proxy").start()
        starting = asyncio.start_server(
            self._handle, self.address.host, self.address.port, limit=_HEAD_BYTES
        )
        try:
            server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        except OSError as error:
            raise UsageError(
                f"can not listen on {self.address.host}:{self.address.port}: {error.strerror}",
                hint="another page may be open there; choose another port: LISTEN=127.0.0.1:8081",
            ) from error
        self.address = Address(self.address.host, server.sockets[0].getsockname()[1])

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_TIMEOUT_S)
            response = self.refusal(head)
            if response is None:
                await self._pass_on(one_request(head), reader, writer)
            else:
                writer.write(response)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the visitor went away or spoke no HTTP: nothing to tell anyone
        finally:
            writer.close()

    def refusal(self, head: bytes) -> bytes | None:
        """The response that refuses a request by its head, or asks for the token; None: allowed."""
        try:
            target, fields = parse_head(head)
        except ValueError:
            return _response(400, "not a request")
        host = _host_name(fields.get("host", ""))
        if self.address.is_loopback and host not in _LOOPBACK:
            return _response(403, "this page answers to localhost only")
        origin = fields.get("origin")
        if origin is not None and urlsplit(origin).netloc != fields.get("host"):
            return _response(403, "opened by another page")
        if not self.token:
            return None
        if self._is_token(parse_qs(urlsplit(target).query).get("token", [""])[0]):
            return _response(
                303, "come in",
                "Location: /",
                f"Set-Cookie: {_COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/",
            )  # fmt: skip
        if self._is_token(_cookie(fields.get("cookie", ""))):
            return None
        return _response(403, "open the address with its token, as the terminal shows it")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner_port)
        try:
            inner_writer.write(head)
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            inner_writer.close()


def start(build: Build, listen: str) -> tuple[viser.ViserServer, AccessProxy]:
    """Start a page behind its proxy.

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
        proxy = AccessProxy(address, server.get_port())
        proxy.open()
    except BaseException:
        stop(server)
        raise
    return server, proxy


def serve(build: Build, listen: str) -> None:
    """Start a page, say where it is, open it when there is a screen, and wait for Ctrl-C."""
    server, proxy = start(build, listen)
    print(f"open {proxy.url}   (Ctrl-C ends it)", flush=True)
    if proxy.address.is_loopback:
        print(f"from another machine: ssh -L {proxy.address.port}:localhost:{proxy.address.port} …")
        if has_screen():  # else a text browser would take the terminal
            webbrowser.open(proxy.url)
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


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Split a request's head into its target and its fields, names in lower case.

    Raises:
        ValueError: it is no HTTP request, or names its host or origin twice.
    """
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    _, target, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if not colon or (key in fields and key in ("host", "origin")):
            raise ValueError(line)
        fields[key] = value.strip()
    return target, fields


def one_request(head: bytes) -> bytes:
    """Ask the page to close after this answer, so that every request passes the proxy."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if any(line.lower().startswith(b"upgrade:") for line in lines):
        return head
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([first, *kept, b"Connection: close"]) + b"\r\n\r\n"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while block := await reader.read(_CHUNK_BYTES):
            writer.write(block)
            await writer.drain()
    except OSError:
        pass  # one side is gone; closing the other ends the pair
    finally:
        writer.close()


def _response(code: int, text: str, *fields: str) -> bytes:
    body = f"{text}\n".encode()
    lines = [f"HTTP/1.1 {code} {text}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: text/plain; charset=utf-8", "Connection: close", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _host_name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


def _cookie(text: str) -> str:
    try:
        morsel = SimpleCookie(text).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _refuse_to_share(verbose: bool = True) -> None:
    """A window must not be able to publish the scene through a tunnel."""
