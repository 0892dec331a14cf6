"""Publishing for everybody, to a store that grants it: who may read what, and pages elsewhere."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from granting_store import granting_store
from maquette.publishing import bucket as published
from maquette.publishing.reading import why_not_public
from maquette.publishing.site import Site
from maquette.storage.object_store import ObjectStore
from publishing_scene import site_of, write_page, write_scene
from s3_server import foreign_client, place_in, put_foreign

HOUR = timedelta(hours=1)
ELSEWHERE = "https://gallery.example"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for name in ("moto", "flask", "flask_cors"):
        pytest.importorskip(name, reason="pip install moto flask flask-cors")
    with granting_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def place(endpoint: str, request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """A prefix in a bucket of this test's own."""
    found = place_in(endpoint, "shared/owl", f"open-{abs(hash(request.node.name)) % 10**8}")
    yield found
    found.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of(write_scene(tmp_path / "owl"), write_page(tmp_path / "page"))


def publish(site: Site, place: ObjectStore, span: timedelta | None) -> published.Published:
    return published.publish(site, place, "owl", span, lambda done, total: None)


def asked(
    url: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str]]:
    """Status and headers of what a stranger is answered."""
    wanted = urllib.request.Request(url, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, {}


def test_what_is_published_for_everybody_is_read_without_a_signature_and_no_more(
    site: Site, place: ObjectStore
) -> None:
    place.ensure()
    put_foreign(place, "mine.txt", b"mine")
    made = publish(site, place, None)
    assert why_not_public(made.link) == ""
    for name in ("index.html", "manifest.json", "owl.sog", "thumbnails/000001.jpg", "page.js"):
        address = place.address_to_read(name, 60).partition("?")[0]
        assert asked(address)[0] == 200, name
    secret = place.address_to_read("mine.txt", 60).partition("?")[0]
    assert asked(secret)[0] == 403


def test_a_private_publication_is_closed_to_who_has_no_signature(
    site: Site, place: ObjectStore
) -> None:
    made = publish(site, place, HOUR)
    assert asked(made.link)[0] == 200
    assert asked(made.link.partition("?")[0])[0] == 403
    assert "does not let everybody read it" in why_not_public(made.link.partition("?")[0])


def test_a_page_elsewhere_may_read_the_files_until_they_are_taken_back(
    site: Site, place: ObjectStore
) -> None:
    origin = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "GET"}
    made = publish(site, place, HOUR)
    assert made.has_page_rule
    address = place.address_to_read("owl.sog", 60)
    status, told = asked(address, "OPTIONS", origin | {"Access-Control-Request-Headers": "range"})
    assert (status, told["access-control-allow-origin"]) == (200, ELSEWHERE)
    assert "GET" in told["access-control-allow-methods"]
    assert told["access-control-allow-headers"] == "*"
    status, told = asked(address, headers=origin)
    assert (status, told["access-control-allow-origin"]) == (200, ELSEWHERE)
    assert "Content-Length" in told["access-control-expose-headers"]
    known = published.read(place)
    assert known is not None
    assert known.page_rule
    published.remove(place, known)
    assert place.page_rules() == []


def test_a_bucket_keeps_the_rules_that_somebody_else_made(site: Site, place: ObjectStore) -> None:
    place.ensure()
    theirs = {"ID": "theirs", "AllowedMethods": ["PUT"], "AllowedOrigins": [ELSEWHERE]}
    rules = {"CORSRules": [theirs]}
    foreign_client(place).put_bucket_cors(Bucket=place.name, CORSConfiguration=rules)
    publish(site, place, HOUR)
    publish(site, place, HOUR)  # again: the rule is there already
    names = [rule["ID"] for rule in place.page_rules() or []]
    assert names[0] == "theirs"
    assert len(names) == 2
    known = published.read(place)
    assert known is not None
    published.remove(place, known)
    assert [rule["ID"] for rule in place.page_rules() or []] == ["theirs"]
