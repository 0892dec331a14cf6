"""How pages are served: to whom; and the report."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from browsing import LIMIT_S, Window, in_browser
from maquette.recon.report_page.writing import write_page
from maquette.scene.workspace import open_workspace

pytest.importorskip("viser", reason="pip install -e 'python[view]'")


from maquette.viewer import serving
from maquette.viewer.adjust_page import AdjustPage
from maquette.viewer.serving import Address

pytestmark = in_browser


def fetch(url: str, **fields: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=60) as got:
            return int(got.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_this_machine_by_name_and_only_our_own_page(opened: Callable[[], Window]) -> None:
    window = opened()
    assert fetch(window.proxy.url) == 200
    assert fetch(window.proxy.url, Host="evil.example") == 403
    assert fetch(window.proxy.url, Origin="http://evil.example") == 403


def test_listening_elsewhere_wants_the_token(browser: object, workspace: Path) -> None:
    server, proxy = serving.start(
        lambda server: AdjustPage(server, open_workspace(workspace)), "0.0.0.0:0"
    )
    try:
        port = proxy.address.port
        assert proxy.token and proxy.token in proxy.url
        assert fetch(f"http://127.0.0.1:{port}/") == 403
        assert fetch(f"http://127.0.0.1:{port}/?token=wrong") == 403
        stranger = browser.new_page()
        stranger.goto(f"http://127.0.0.1:{port}/")
        assert "token" in stranger.content()
        guest = browser.new_context().new_page()
        guest.set_default_timeout(1000 * LIMIT_S)
        guest.goto(f"http://127.0.0.1:{port}/?token={proxy.token}")
        guest.get_by_text("points inside").wait_for()
        assert proxy.token not in guest.url
    finally:
        server.stop()


def test_the_report_opens_from_a_disk_fits_a_phone_and_prints(
    browser: object, workspace: Path
) -> None:
    path = write_page(open_workspace(workspace).scene)
    content = browser.new_page(viewport={"width": 390, "height": 800})
    asked, complaints = [], []
    content.on("request", lambda request: asked.append(request.url))
    content.on("console", lambda message: complaints.append(message.text))
    content.goto(path.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert content.get_by_role("heading", name="owlet").is_visible()
    assert content.evaluate("document.documentElement.scrollWidth") <= 390
    assert content.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    drawn = content.locator("svg image").first.bounding_box()
    assert drawn["width"] > 300 and not complaints
    assert content.pdf(prefer_css_page_size=True).startswith(b"%PDF-")
    content.close()


def test_addresses() -> None:
    assert Address.parse("8081") == Address("127.0.0.1", 8081)
    assert Address.parse("[::1]:80").host == "::1"
    assert not Address.parse("0.0.0.0:8080").is_loopback
