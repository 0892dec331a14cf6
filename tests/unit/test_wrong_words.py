"""What people type and write wrong: a sentence with the place and what helps, or it works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maquette.addresses import address_parts
from maquette.config import naming_rules
from maquette.config.loading import load
from maquette.errors import ConfigError, CredentialsError
from maquette.runners.ovh import tokens
from maquette.storage import credentials
from maquette.storage.selection import selection
from maquette.text_files import read_text


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MODEL", "INPUT", "BASE_DIR", "AWS_SESSION_TOKEN", tokens.VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [("Größe", "Grosse"), ("my shoe", "my-shoe"), ("été/1", "ete-1"), ("_x", "x"), ("靴", "")],
)
def test_a_name_that_can_not_be_is_explained_with_one_that_can(typed: str, proposed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([f"MODEL={typed}"])
    said = caught.value.detail
    assert f"MODEL={typed}: a name begins with" in said and "pattern" not in said
    assert (f"for example `{proposed}`" in said) == bool(proposed)
    assert not proposed or naming_rules.name(proposed)


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [("a..b", "a-b"), ("192.168.5.4", "192-168-5-4"), ("My_Bucket", "my-bucket"), ("a.-b", "a-b")],
)
def test_a_bucket_that_can_not_be_is_explained(typed: str, proposed: str) -> None:
    with pytest.raises(ConfigError, match="settings") as caught:
        load([f"BUCKET_NAME={typed}"])
    assert f"for example `{proposed}`" in caught.value.detail
    assert naming_rules.bucket(proposed) == proposed


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", "here", "127.0.0.1:x", "127.0.0.1:٣"])
def test_an_address_to_listen_on_has_a_port(listen: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([f"LISTEN={listen}"])
    assert "up to 65535" in caught.value.detail


@pytest.mark.parametrize("address", ["https://x.org:99999", "https://[::1", "http://x:y"])
def test_ports_and_hosts_that_there_can_not_be_are_told(address: str) -> None:
    with pytest.raises(ConfigError, match="OVH_URL is no address"):
        address_parts(address, "OVH_URL")
    with pytest.raises(ConfigError) as caught:
        address_parts("http://me:secret@x:99999", "OVH_URL")
    assert "secret" not in caught.value.what + caught.value.detail


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_of_every_marked_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes("GROUP=one\r\n".encode(encoding))
    (tmp_path / "maquette.yaml").write_bytes("model: shoe\n".encode(encoding))
    (tmp_path / ".maquetteignore").write_bytes("*.jpg\n".encode(encoding))
    settings = load()
    assert (settings.group, settings.model) == ("one", "shoe")
    assert not selection(tmp_path)("images/1.jpg")


@pytest.mark.parametrize("name", [".env", "maquette.yaml", ".maquetteignore"])
def test_text_of_another_encoding_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"# one\n# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        selection(tmp_path) if name == ".maquetteignore" else load()
    said = caught.value.what + caught.value.detail
    assert f"not UTF-8 text: `{name}`, line 2" in said
    with pytest.raises(ConfigError, match="line 2"):
        read_text(tmp_path / name)


@pytest.mark.parametrize("key", ["AB…", "AB\nCD", "AB CD", "ABÄ"])
def test_keys_and_tokens_that_were_copied_badly_are_named(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key)
    with pytest.raises(CredentialsError, match=r"AWS_SECRET_ACCESS_KEY \(environment\)") as caught:
        credentials.find()
    assert key not in str(caught.value)
    monkeypatch.setenv(tokens.VARIABLE, key)
    with pytest.raises(CredentialsError, match=r"OVHAI_TOKEN \(environment\) is no token"):
        tokens.find("https://x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S\n")  # what a shell or an editor leaves behind
    assert credentials.find().secret_key == "S"


@pytest.mark.parametrize("source", ["command line", "environment", ".env", "maquette.yaml"])
def test_the_home_folder_is_meant_from_every_source(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    words = {"BASE_DIR": "~/work", "INPUT": "~/a film.mp4", "MESH": "~/a.ply", "GROUND_TRUTH": "~"}
    if source == "environment":
        for name, value in words.items():
            monkeypatch.setenv(name, value)
    if source == ".env":
        (tmp_path / ".env").write_text("".join(f"{k}={v!r}\n" for k, v in words.items()))
    if source == "maquette.yaml":
        lines = (f"{name.lower()}: '{value}'\n" for name, value in words.items())
        (tmp_path / "maquette.yaml").write_text("".join(lines))
    given = [f"{k}={v}" for k, v in words.items()] if source == "command line" else []
    settings, home = load(given), str(tmp_path / "home")
    assert str(settings.base_dir) == f"{home}/work" and settings.input == f"{home}/a film.mp4"
    assert settings.mesh == f"{home}/a.ply" and settings.ground_truth == home


def test_a_home_of_nobody_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        load(["INPUT=~no-such-user/x"])
    assert "INPUT=~no-such-user/x: there is no user `no-such-user`" in caught.value.detail


def test_misspelt_names_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").write_text("MODLE=x\nMAX_COTS=3\nmodel=y\nDATABASE_URL=z\n")
    load()
    load()
    said = capsys.readouterr().err
    for name, near in (("MODLE", "MODEL"), ("MAX_COTS", "MAX_COST"), ("model", "MODEL")):
        assert said.count(f"warning: .env: `{name}` is no setting, nearest: `{near}`") == 1
    assert "DATABASE_URL" not in said
    (tmp_path / "maquette.yaml").write_text("modle: x\n")
    with pytest.raises(ConfigError) as caught:
        load()
    assert "unknown setting `modle`, nearest: `MODEL`" in caught.value.detail


@pytest.mark.skipif(os.name != "posix", reason="the user's number is POSIX's")
def test_a_user_whom_the_system_does_not_know_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    from maquette import person

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert person.user_name() == f"user-{os.getuid()}"
    with pytest.raises(ConfigError, match="no home folder"):
        person.home()
