"""The small rooms of storage: signatures, tags, plans, selection, names; no network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_proxy import use
from maquette.config.settings import Settings
from maquette.errors import ConfigError, CredentialsError, NotFound
from maquette.storage import (
    credentials,
    datastores,
    etags,
    scene_bucket,
    selection,
    signing,
)
from maquette.storage.diffing import Kind, classify
from maquette.storage.object_store import RemoteObject, StoreLocation
from maquette.storage.planning import phase
from maquette.storage.proxies import proxy_for
from maquette.storage.safety import is_safe
from maquette.storage.transfer import MemoryBudget
from maquette.storage.wire import Wire

KEYS = signing.Credentials("access", "secret/with+signs", "a-token")
TAGS = st.sampled_from(["", "a", "b", "c"])


@settings(deadline=None)  # the machine may be busy
@given(
    path=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    query=st.dictionaries(
        st.text("abcXYZ-", min_size=1, max_size=8), st.text(max_size=8), max_size=3
    ),
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
)
def test_our_signature_is_that_of_botocore(path: str, query: dict[str, str], method: str) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    now = datetime.now(UTC)
    encoded, words = signing.quoted_path(f"/bucket/{path}"), signing.quoted_query(query)
    headers = {"host": "s3.example.org", "content-md5": "abc=", "x-amz-meta-a": "b  c"}
    ours = signing.signed_headers(method, encoded, words, headers, "gra", KEYS, now)
    url = f"https://s3.example.org{encoded}" + (f"?{words}" if words else "")
    request = AWSRequest(method=method, url=url, headers=headers)
    request.context["payload_signing_enabled"] = False
    twin = S3SigV4Auth(Credentials(KEYS.access_key, KEYS.secret_key, KEYS.token), "s3", "gra")
    request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    request.headers["X-Amz-Content-SHA256"] = signing.UNSIGNED
    request.headers["X-Amz-Security-Token"] = KEYS.token
    signature = twin.signature(
        twin.string_to_sign(request, twin.canonical_request(request)), request
    )
    assert ours["authorization"].endswith(f"Signature={signature}")


def test_key_pairs_never_show_their_secret_parts() -> None:
    assert "secret" not in repr(KEYS) and "token" not in repr(KEYS).replace("token=", "")
    assert "secret" not in repr(Wire(StoreLocation("http://127.0.0.1:1"), KEYS))


@pytest.mark.parametrize("extra", [0, 1, 12345])
def test_tags_are_the_etags_of_s3(tmp_path: Path, extra: int) -> None:
    import hashlib

    content = bytes(2 * etags.PART_BYTES) + bytes(range(256)) * 49
    content = content[: 2 * etags.PART_BYTES + extra]
    path = tmp_path / "file"
    path.write_bytes(content)
    parts = [
        hashlib.md5(content[start : start + etags.PART_BYTES]).digest()
        for start in range(0, len(content), etags.PART_BYTES)
    ]
    wanted = f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"
    assert etags.content_tag(path) == wanted
    assert etags.is_tag_of(wanted, len(content))
    assert not etags.is_tag_of(wanted.partition("-")[0], len(content))
    assert etags.verdict(path, hashlib.md5(content).hexdigest()) is True
    assert etags.verdict(path, hashlib.md5(b"other").hexdigest()) is False
    assert etags.verdict(path, f"{'0' * 32}-777") is None


@settings(deadline=None)
@given(here=TAGS, there=TAGS, before=TAGS)
def test_both_sides_see_the_same_difference(here: str, there: str, before: str) -> None:
    """What is `changed here` on one side is `changed there` on the other; equal is never moved."""
    if not here and not there:
        return
    mirror = {
        Kind.ONLY_HERE: Kind.ONLY_THERE, Kind.CHANGED_HERE: Kind.CHANGED_THERE,
        Kind.REMOVED_HERE: Kind.REMOVED_THERE,
    }  # fmt: skip
    mirror |= {there_: here_ for here_, there_ in mirror.items()}
    kind, other = classify(here, there, before), classify(there, here, before)
    assert other == mirror.get(kind, kind)
    assert (kind is Kind.SAME) == (here == there)
    if here and there and here != there:
        assert (kind is Kind.CONFLICT) == (before not in (here, there))


def test_phases() -> None:
    order = [
        "images/1.jpg",
        "runs/a/epoch_1_checkpoint.pt",
        "stages/a/train.json",
        "report.json",
    ]
    assert [phase(path) for path in order] == [0, 0, 1, 1]
    assert phase("runs/a/latest_checkpoint.txt") == 2


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("a/b.jpg", True), ("..hidden", True), ("a/...", True), ("%2e%2e/x", True),
        ("../a", False), ("a/../b", False), ("/a", False), ("a//b", False), ("", False),
        ("a/.", False), ("a\0b", False), ("a/" + "x" * 300, False),
    ],
)  # fmt: skip
def test_safe_keys(path: str, safe: bool) -> None:
    assert is_safe(path) == safe


def test_a_store_that_rewrites_its_etag_later() -> None:
    parts = RemoteObject(20, f"{'a' * 32}-3", "", 100)
    assert parts.is_still(RemoteObject(20, "b" * 32, "", 100))
    assert not parts.is_still(RemoteObject(20, "b" * 32, "", 101))
    assert not parts.is_still(RemoteObject(21, "b" * 32, "", 100))
    assert not RemoteObject(20, "a" * 32, "", 100).is_still(RemoteObject(20, "b" * 32, "", 100))


def test_a_budget_serves_in_order() -> None:
    from s3_server import in_thread
    from waiting import wait_for

    budget, order = MemoryBudget(10), []

    def want(name: str, size: int) -> None:
        with budget.held(size):
            order.append(name)

    with budget.held(6):
        threads = []
        for count, (name, size) in enumerate((("large", 8), ("small", 1)), start=1):
            threads.append(in_thread(lambda name=name, size=size: want(name, size)))
            wait_for(lambda count=count: len(budget._waiting) == count)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == ["large", "small"]


def test_a_budget_of_three_pieces_never_takes_memory_for_more() -> None:
    budget, seen = MemoryBudget(3000), set()

    def use(size: int) -> None:
        with budget.buffer(size) as buffer:
            assert len(buffer) == size
            buffer[:] = b"x" * size
            seen.add(id(buffer.obj))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, [1000] * 500))
    assert len(seen) <= 3 and len(budget._buffers) <= 3


def test_a_buffer_grows_with_what_is_wanted() -> None:
    budget = MemoryBudget(3000)
    for size in (10, 2000, 0, 5000):
        with budget.buffer(size) as buffer:
            assert len(buffer) == size


@pytest.mark.parametrize("model", ["shoe", "Shoe", "a_b", "x" * 64])
def test_bucket_names_are_allowed_and_differ(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "Jane.Doe")
    name = scene_bucket.bucket_name(Settings(model=model).data)
    Settings(model=model, bucket_name=name)
    assert len(name) <= 63
    others = {
        scene_bucket.bucket_name(Settings(model=other).data) for other in ("shoe", "Shoe", "SHOE")
    }
    assert len(others) == 3


def test_ignore_files_of_the_project_speak_of_its_paths(tmp_path: Path) -> None:
    scene = tmp_path / "scenes" / "thing"
    scene.mkdir(parents=True)
    (tmp_path / ".ovhaiignore").write_text("/logs/\n*.mp4\n/scenes/thing/input/\n")
    selects = selection.selection(scene, project=tmp_path)
    chosen = [
        path for path in ("logs/a", "input/a.jpg", "a/b.mp4", "images/1.jpg") if selects(path)
    ]
    assert chosen == ["logs/a", "images/1.jpg"]


def test_data_stores_keep_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "stores.json"
    datastores.add("GRA", datastores.DataStore("https://s3.gra.io.cloud.ovh.net", "gra"), file)
    assert datastores.find("GRA", file).location == StoreLocation(
        "https://s3.gra.io.cloud.ovh.net", "gra"
    )
    with pytest.raises(ConfigError, match="password") as caught:
        datastores.add("BAD", datastores.DataStore("https://me:pass@example.org", "x"), file)
    assert "me:pass" not in str(caught.value) + caught.value.hint
    aws = datastores.DataStore("https://s3.eu-west-1.amazonaws.com", "eu-west-1")
    assert aws.location.host_style
    datastores.remove("GRA", file)
    assert datastores.known(file) == {}


def test_where_keys_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    aws = tmp_path / "credentials"
    aws.write_text("[ovh]\naws_access_key_id = P\naws_secret_access_key = PS\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(aws))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(CredentialsError, match="no access key"):
        credentials.find(folder=tmp_path)
    (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=E\nAWS_SECRET_ACCESS_KEY=ES\n")
    assert credentials.find(folder=tmp_path).access_key == "E"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "V")
    with pytest.raises(CredentialsError, match="half of a key pair: AWS_SECRET_ACCESS_KEY"):
        credentials.find(folder=tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "VS")
    assert credentials.find(folder=tmp_path).access_key == "V"
    assert credentials.find("ovh", tmp_path).secret_key == "PS"


def test_data_stores_that_can_not_be_kept_are_said_why(tmp_path: Path) -> None:
    file = tmp_path / "stores.json"
    with pytest.raises(ConfigError, match=r"`s3\.gra\.io`"):
        datastores.add("GRA", datastores.DataStore("s3.gra.io", "gra"), file)
    with pytest.raises(ConfigError) as caught:
        datastores.add("GRA", datastores.DataStore("ftp://me:pass@s3.gra.io?key=pass", "gra"), file)
    assert "pass@" not in str(caught.value) and "key=pass" not in str(caught.value)
    with pytest.raises(ConfigError, match="not a name for a data store: `a b`"):
        datastores.add("a b", datastores.DataStore("https://s3.gra.io", "gra"), file)
    with pytest.raises(NotFound) as missing:
        datastores.remove("GRA", file)
    assert "list" in missing.value.hint and not file.exists()


@pytest.mark.parametrize(
    ("variables", "address", "proxy"),
    [
        ({}, "https://s3.example.org", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://s3.example.org", "`http://p:1` (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://s3.example.org", None),
        ({"http_proxy": "p:1"}, "http://s3.example.org:9000", "`http://p:1` (http_proxy)"),
        (
            {"https_proxy": "http://small", "HTTPS_PROXY": "http://large"},
            "https://s3.example.org",
            "`http://small` (https_proxy)",
        ),
        ({"ALL_PROXY": "http://p:1"}, "http://s3.example.org", "`http://p:1` (ALL_PROXY)"),
        (
            {"all_proxy": "http://all", "https_proxy": "http://me:secret@p:1"},
            "https://s3.example.org",
            "`http://p:1` (https_proxy)",
        ),
        ({"https_proxy": "http://p", "NO_PROXY": "example.org"}, "https://s3.example.org", None),
        ({"https_proxy": "http://p", "no_proxy": "*"}, "https://s3.example.org", None),
        (
            {"https_proxy": "http://p", "NO_PROXY": "other.org"},
            "https://s3.example.org",
            "`http://p` (https_proxy)",
        ),
    ],
)
def test_the_environment_chooses_the_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str, proxy: str | None
) -> None:
    use(None, monkeypatch, **variables)
    found = proxy_for(address)
    assert (str(found) if found else None) == proxy
    assert "secret" not in repr(found)


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use(None, monkeypatch, ALL_PROXY="socks5://me:secret@p:1")
    with pytest.raises(ConfigError, match=r"`socks5://p:1` \(ALL_PROXY\)") as caught:
        proxy_for("https://s3.example.org")
    assert "NO_PROXY" in caught.value.hint and "secret" not in str(caught.value)
