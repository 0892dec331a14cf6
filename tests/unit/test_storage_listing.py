"""Listings in several places at once hold each object once, whatever was guessed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maquette.storage import listing
from maquette.storage.bodies import (
    Listed,
    Page,
    completion,
    read_completed_etag,
    read_page,
    read_upload_id,
)
from maquette.storage.connection import Damaged

KEYS = st.lists(st.text("abé~", min_size=1, max_size=4), unique=True, max_size=60)


class Store:
    """Pages of three keys, as a store gives them."""

    def __init__(self, keys: list[str]) -> None:
        self.items = [Listed(key, 1, "e", 0) for key in keys]
        self.asked = 0

    def ask(self, start_after: str, token: str) -> Page:
        self.asked += 1
        first = int(token) if token else 0
        while start_after and first < len(self.items) and self.items[first].key <= start_after:
            first += 1
        last = first + 3
        return Page(tuple(self.items[first:last]), str(last), last < len(self.items))


@settings(deadline=None, max_examples=60)
@given(keys=KEYS, guesses=KEYS)
def test_every_object_is_listed_once(keys: list[str], guesses: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "_APART", 2)
        found = listing.listed(Store(sorted(keys)).ask, guesses)
    assert found is not None and [item.key for item in found] == sorted(keys)


def test_a_store_without_order_is_listed_by_its_tokens() -> None:
    keys = [f"{number:03}" for number in range(40)]
    random.Random(1).shuffle(keys)
    found = listing.listed(Store(keys).ask, sorted(keys))
    assert found is not None and [item.key for item in found] == keys


def test_right_guesses_cost_no_request_more() -> None:
    keys = [f"{number:05}" for number in range(2700)]
    pages: list[str] = []

    def ask(start_after: str, token: str) -> Page:
        pages.append(start_after)
        later = [key for key in keys if key > start_after]
        some = tuple(Listed(key, 1, "e", 0) for key in later[:1000])
        return Page(some, "", len(later) > 1000)

    found = listing.listed(ask, keys)
    assert found is not None and len(found) == 2700 and len(pages) == 3


def test_no_bucket_is_not_an_empty_one() -> None:
    assert listing.listed(lambda start, token: None, ["a"]) is None
    assert listing.listed(Store([]).ask, ["a"]) == []


def test_answers_are_read_with_and_without_a_namespace() -> None:
    item = (
        "<Contents><Key>a%2Bb+c/%C3%A9</Key><Size>7</Size><ETag>&quot;e&quot;</ETag>{}</Contents>"
    )
    when = "<LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    page = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>" + item.format(when)
    for name in ("<ListBucketResult>", '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/">'):
        (found,) = read_page(f"{name}{page}</ListBucketResult>".encode()).items
        assert found == Listed("a+b c/é", 7, "e", 1767323045)
    assert read_upload_id(b"<R><UploadId>x/y</UploadId></R>") == "x/y"
    assert read_completed_etag(b'<R><ETag>"e-2"</ETag></R>') == "e-2"
    assert b'<PartNumber>2</PartNumber><ETag>"f"</ETag>' in completion(["e", "f"])


@pytest.mark.parametrize("read", [read_page, read_upload_id, read_completed_etag])
@pytest.mark.parametrize("body", [b"", b"<half", b"<Error><Code>InternalError</Code></Error>"])
def test_a_failure_that_began_with_ok_is_worth_another_try(read: object, body: bytes) -> None:
    with pytest.raises(Damaged):
        read(body)
