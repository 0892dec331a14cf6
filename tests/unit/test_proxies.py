"""What is sent to this machine goes to it alone, whatever proxy the environment names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from http_proxy import use
from maquette.agent.webhook import Webhook
from maquette.containers.daemon import Daemon, connected
from maquette.errors import ConfigError
from maquette.runners.ovh import prices
from maquette.runners.ovh.client import Client
from maquette.runners.web import httpx, way_to
from maquette.storage.proxies import is_loopback, proxy_for


class Recorder(ThreadingHTTPServer):
    """Answers `{}` to everything, and keeps the requests' lines."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b'{"ApiVersion": "1.44"}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_CONNECT = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Recorder, Recorder]]:
    """A service of this machine, and a proxy that the environment names for everything."""
    service, proxy = Recorder(), Recorder()
    for server in (service, proxy):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    use(None, monkeypatch, HTTP_PROXY=proxy.url, HTTPS_PROXY=proxy.url, ALL_PROXY=proxy.url)
    yield service, proxy
    for server in (service, proxy):
        server.shutdown()
        server.server_close()


def test_a_token_for_this_machine_reaches_no_proxy(here: tuple[Recorder, Recorder]) -> None:
    service, proxy = here
    client = Client(service.url, "secret")
    client.get("/v1/me")
    client.post_once("/v1/job", {})
    client.close()
    assert service.seen == ["/v1/me", "/v1/job"]
    assert proxy.seen == []


def test_nor_does_anything_else_that_is_sent_to_this_machine(
    here: tuple[Recorder, Recorder],
) -> None:
    service, proxy = here
    prices.refresh(f"{service.url}/catalogue", force=True)
    failures: list[str] = []
    webhook = Webhook(f"{service.url}/webhook", {}, failures.append)
    webhook.send("start", "it starts")
    webhook.close()
    with connected(Daemon(service.url.replace("http", "tcp"))) as docker:
        docker.ping()
    assert [path.partition("?")[0] for path in service.seen[:2]] == ["/catalogue", "/webhook"]
    assert len(service.seen) > 2
    assert (failures, proxy.seen) == ([], [])


def test_a_service_elsewhere_is_reached_through_the_proxy(here: tuple[Recorder, Recorder]) -> None:
    _, proxy = here
    assert way_to("https://gra.ai.cloud.ovh.net")["proxy"] == proxy.url
    client = httpx.Client(**way_to("https://gra.ai.cloud.ovh.net"))
    with pytest.raises(httpx.HTTPError):  # the recorder begins no TLS
        client.get("https://gra.ai.cloud.ovh.net/v1/me")
    client.close()
    assert proxy.seen == ["gra.ai.cloud.ovh.net:443"]


def test_a_proxy_of_another_kind_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    use(None, monkeypatch, ALL_PROXY="socks5://p:1")
    with pytest.raises(ConfigError, match="ALL_PROXY"):
        Client("https://gra.ai.cloud.ovh.net", "secret")
    assert "ALL_PROXY" in prices.refresh("https://eu.api.ovh.com/catalogue", force=True)


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.3.2.1", True),
        ("http://[::1]:1", True),
        ("http://LOCALHOST.", True),
        ("http://bucket.localhost:9000", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_what_is_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, address: str, is_here: bool
) -> None:
    use(None, monkeypatch, ALL_PROXY="http://p:1")
    assert is_loopback(address) is is_here
    assert (proxy_for(address) is None) is is_here
