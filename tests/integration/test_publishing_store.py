"""Publishing to a real S3 server: links that end, what browsers are told, and taking it back."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from maquette.errors import UsageError
from maquette.publishing import bucket as published
from maquette.publishing import record
from maquette.publishing.reading import why_not_public
from maquette.scene.paths import Scene
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore
from publishing_scene import site_of, write_page, write_scene
from s3_server import place_in, put_foreign
from waiting import wait_for

WEEK = timedelta(days=7)
REFUSED = (400, 403)  # rclone says 400 where S3 says 403


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return write_scene(tmp_path / "owl")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_page(tmp_path / "page")


@pytest.fixture
def place(server: Running) -> Iterator[ObjectStore]:
    found = place_in(server.location.endpoint, "shared/owl", "shared-scenes")
    yield found
    for path in found.objects() or {}:
        found.delete(path)
    found.close()


def read(url: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read(), {key.lower(): value for key, value in answer.headers.items()}


def status(url: str) -> int:
    try:
        return int(urllib.request.urlopen(url, timeout=60).status)
    except urllib.error.HTTPError as error:
        return error.code


def publish(
    scene: Scene, page: Path, place: ObjectStore, span: timedelta | None = WEEK, **more: Any
) -> published.Published:
    return published.publish(
        site_of(scene, page, **more), place, "owl", span, lambda done, total: None
    )


def named_manifest(index: bytes) -> str:
    found = re.search(r'name="maquette-manifest" content="([^"]+)"', index.decode())
    assert found
    return unescape(found[1])


def test_a_private_link_leads_to_all_files_and_nothing_is_readable_without_it(
    scene: Scene, page: Path, place: ObjectStore
) -> None:
    made = publish(scene, page, place)
    index, told = read(made.link)
    assert told["content-type"] == "text/html; charset=utf-8"
    assert told["cache-control"] == "no-cache"
    content, told = read(named_manifest(index))
    assert told["content-type"] == "application/json"
    manifest = json.loads(content)
    data, told = read(manifest["formats"]["sog"])
    assert data == b"results/splat/owl.sog"
    assert told["cache-control"] == "private, max-age=31536000, immutable"
    data, told = read(manifest["cameras"][0]["thumbnail"])
    assert told["content-type"] == "image/jpeg"
    for address in (made.link, manifest["meshes"][0]["url"], made.picture):
        assert status(address) == 200
        assert status(address.partition("?")[0]) in REFUSED
    assert b"src=" not in index  # a signed address signs no neighbour


def test_a_private_link_ends(
    scene: Scene, page: Path, place: ObjectStore, later: Callable[[timedelta], None]
) -> None:
    later(-timedelta(hours=2))
    made = publish(scene, page, place, timedelta(hours=1))
    assert status(made.link) in REFUSED
    assert made.expires_at < "2100"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Have addresses signed at another time than now."""
    from maquette.storage import signing

    real = signing.signed_query

    def shift(by: timedelta) -> None:
        def signed(*facts: Any) -> str:
            path, host, region, keys, now, *rest = facts
            return real(path, host, region, keys, now + by, *rest)

        monkeypatch.setattr(signing, "signed_query", signed)

    return shift


def test_public_files_have_addresses_that_change_with_them(
    scene: Scene, page: Path, place: ObjectStore
) -> None:
    made = publish(scene, page, place, None)
    assert made.expires_at == ""
    assert "?" not in made.link
    index, told = read(place.address_to_read("index.html", 60))
    assert re.search(rb'src="page\.js\?v=[0-9a-f]{10}"', index)
    manifest = json.loads(read(place.address_to_read("manifest.json", 60))[0])
    assert re.fullmatch(r"owl\.sog\?v=[0-9a-f]{10}", manifest["formats"]["sog"])
    told = read(place.address_to_read("page.js", 60))[1]
    assert told["cache-control"] == "public, max-age=31536000, immutable"
    assert told["x-amz-acl"] == "public-read"  # this server tells the header that it was sent


def test_a_store_that_keeps_public_files_to_itself_is_told(
    scene: Scene, page: Path, place: ObjectStore
) -> None:
    made = publish(scene, page, place, None)
    assert "does not let everybody read it" in why_not_public(made.link)


def test_unpublish_removes_exactly_what_publish_wrote(
    scene: Scene, page: Path, place: ObjectStore
) -> None:
    publish(scene, page, place)
    put_foreign(place, "mine.txt", b"mine")
    put_foreign(place, "owl.glb", b"changed by somebody")
    known = published.read(place)
    assert known is not None
    assert published.remove(place, known) == ["owl.glb"]
    assert set(place.objects() or {}) == {"mine.txt", "owl.glb"}
    assert published.read(place) is None


def test_publishing_again_removes_what_is_no_longer_shown(
    scene: Scene, page: Path, place: ObjectStore
) -> None:
    publish(scene, page, place, None)
    publish(scene, page, place, meshes=[])
    names = set(place.objects() or {})
    assert "owl.glb" not in names
    assert "page.js" not in names
    known = published.read(place)
    assert known is not None
    assert names == {*known.files, record.FILE}


def test_an_object_that_publish_did_not_write_is_never_replaced(
    scene: Scene, page: Path, place: ObjectStore
) -> None:
    place.ensure()
    put_foreign(place, "index.html", b"my home page")
    with pytest.raises(UsageError, match="publish did not write it"):
        publish(scene, page, place)
    assert set(place.objects() or {}) == {"index.html"}


def test_a_publication_that_was_killed_can_be_taken_back(
    scene: Scene, page: Path, place: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        published.publish(site_of(scene, page), place, "owl", WEEK, killed)
    known = published.read(place)
    assert known is not None
    assert wait_for(lambda: published.remove(place, known) == [], 10)
    assert not place.objects()
