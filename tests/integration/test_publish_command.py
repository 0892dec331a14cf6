"""`maquette publish` and `unpublish` as a person calls them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from command_line import maquette
from maquette.cli.publish import publish
from maquette.errors import MaquetteError
from maquette.scene.paths import Scene
from maquette.storage import datastores
from maquette.storage.datastores import DataStore
from maquette.storage.embedded import Running
from maquette.viewer import notes, web_page
from ring_scene import PIPELINE, write_ring
from s3_server import KEYS

needs_page = pytest.mark.skipif(not web_page.is_built(), reason="the page is not built: make page")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A working folder with a scene that has a mesh."""
    write_ring(tmp_path / "scenes" / "ring")
    return tmp_path


def refusal(base: Path, *words: str) -> str:
    done = maquette(base, "publish", "MODEL=ring", *words)
    assert done.returncode in (2, 10, 13, 14), done.stdout
    return done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "TO= says where to publish"),
        (("TO=s3://bucket/ring",), "built-in store"),
        (("TO=site", "PUBLIC=1"), "PUBLIC=1 is about a bucket"),
        (("TO=s3://bucket/ring", "HTML=1"), "HTML=1 writes a file"),
        (("TO=site", "EXPIRES=soon"), "settings are not usable"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_written(
    base: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(base)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    with pytest.raises(MaquetteError, match=said) as failure:
        publish(["MODEL=ring", *words])
    assert failure.value.hint
    assert sorted(path.name for path in base.iterdir()) == ["scenes"]


@pytest.fixture
def rings(base: Path, server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data store of that name, for a person without AWS files."""
    for name, value in {
        "XDG_CONFIG_HOME": str(base / "config"), "AWS_CONFIG_FILE": str(base / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(base / "none"),
        "AWS_ACCESS_KEY_ID": KEYS.access_key, "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    datastores.add("RINGS", DataStore(server.location.endpoint, "us-east-1"))


def test_what_becomes_public_is_said_and_asked(base: Path, rings: None) -> None:
    told = refusal(base, "TO=s3://published-rings/one", "DATASTORE=RINGS", "PUBLIC=1")
    assert "everybody who knows or guesses the address" in told
    assert "YES=1" in told


@needs_page
def test_a_site_is_published_and_taken_back(base: Path) -> None:
    mark = {"title": "crack", "text": "", "position": [0, 0, 1]}
    notes.keep(Scene(base / "scenes" / "ring"), json.dumps({"annotations": [mark]}).encode())
    done = maquette(base, "publish", "MODEL=ring", "TO=site", "CONTENT_LICENSE=CC-BY-4.0")
    assert done.returncode == 0, done.stderr
    assert "python3 -m http.server --directory site" in done.stdout
    told = json.loads((base / "site/manifest.json").read_text())
    assert told["license"] == "CC-BY-4.0"
    assert [note["title"] for note in told["annotations"]] == ["crack"]
    assert (base / "site" / told["meshes"][0]["url"]).is_file()
    done = maquette(base, "unpublish", "MODEL=ring")
    assert done.returncode == 0, done.stderr
    assert not (base / "site").exists()
    again = maquette(base, "unpublish", "MODEL=ring")
    assert again.returncode == 13
    assert "published nowhere" in again.stderr


@needs_page
def test_a_private_link_is_printed_told_to_the_webhook_and_ended(
    base: Path, rings: None, hook: tuple[str, list[dict]]
) -> None:
    url, taken = hook
    to = ("TO=s3://published-rings/one", "DATASTORE=RINGS")
    (base / ".env").write_text(f"NOTIFY_URL={url}\n")
    done = maquette(base, "publish", "MODEL=ring", *to, "EXPIRES=1h")
    assert done.returncode == 0, done.stderr
    link = next(line for line in done.stdout.splitlines() if line.startswith("http"))
    with urllib.request.urlopen(link, timeout=60) as answer:
        assert b"<title>ring" in answer.read()
    assert [message["event"] for message in taken] == ["published"]
    assert taken[0]["link"] == link
    assert "secret-part" not in done.stdout + done.stderr
    done = maquette(base, "unpublish", "MODEL=ring")
    assert done.returncode == 0, done.stderr
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(link, timeout=60)


@needs_page
def test_what_is_too_large_is_published_smaller_and_told(base: Path) -> None:
    done = maquette(base, "publish", "MODEL=ring", "TO=site", "SIZE_LIMIT=25KB", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    [cost] = told["smaller_copies"]
    assert cost["what"] == f"mesh of {PIPELINE}"
    assert cost["after_bytes"] <= 25_000 < cost["before_bytes"]
    [mesh] = json.loads((base / "site/manifest.json").read_text())["meshes"]
    assert (base / "site" / mesh["url"]).stat().st_size == cost["after_bytes"]
    assert f"{mesh['faces']:,} of" in cost["share"]


@needs_page
def test_what_is_too_large_names_the_setting_that_helps(base: Path) -> None:
    told = refusal(base, "TO=site", "SIZE_LIMIT=1KB")
    assert "misses SIZE_LIMIT=1 kB" in told
    assert f"PIPELINE={PIPELINE} FACES=" in told
    assert not (base / "site").exists()
