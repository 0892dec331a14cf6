"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from maquette.storage.bucket import Bucket
from maquette.storage.embedded import Running
from s3_server import place_in, s3_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An S3 server that all tests share; each uses a prefix of its own."""
    with s3_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def bucket(server: Running, request: pytest.FixtureRequest) -> Bucket:
    """A place of this test's own."""
    return place_in(server.place.endpoint, f"of-{abs(hash(request.node.nodeid))}")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return tmp_path / "scenes" / "thing"
