"""The token in a keyring: put there by keyring's own program, found by ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command_line import environment
from emulated import Emulated
from maquette.errors import ExitCode
from maquette.runners.ovh import tokens

pytest.importorskip("keyring", reason="pip install keyring")
FILE = "keyring_in_file.FileKeyring"
HOST = "127.0.0.1"


@pytest.fixture
def told(tmp_path: Path, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with a keyring of this test's own and no token."""
    monkeypatch.delenv(tokens.VARIABLE)
    here = {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHON_KEYRING_BACKEND": FILE}
    return environment(**here, MAQUETTE_TEST_KEYRING=str(tmp_path / "passwords"))


def call(folder: Path, told: dict[str, str], *words: str, given: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=told, input=given,
        capture_output=True, text=True, check=False, timeout=270,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def login_check(folder: Path, told: dict[str, str], emulated: Emulated) -> tuple[int, str]:
    words = ("maquette.cli.main", "ovh", "login-check", f"OVH_URL={emulated.running.url}")
    return call(folder, told, *words)


def test_a_token_in_the_keyring_is_found_and_shown_nowhere(
    tmp_path: Path, told: dict[str, str], emulated: Emulated
) -> None:
    token = emulated.running.token
    words = ("keyring", "set", tokens.KEYRING_SERVICE, HOST)
    assert call(tmp_path, told, *words, given=f"{token}\n")[0] == 0
    code, said = login_check(tmp_path, told, emulated)
    assert code == ExitCode.OK and "keyring" in said and token not in said, said


@pytest.mark.parametrize("backend", [FILE, "keyring.backends.fail.Keyring", "no_such.Keyring"])
def test_a_keyring_that_is_empty_or_fails_is_told(
    tmp_path: Path, told: dict[str, str], emulated: Emulated, backend: str
) -> None:
    told["PYTHON_KEYRING_BACKEND"] = backend
    code, said = login_check(tmp_path, told, emulated)
    assert code == ExitCode.CREDENTIALS and tokens.KEYRING_SERVICE in said, said
    assert "Traceback" not in said


def test_a_token_for_another_host_is_not_sent(
    tmp_path: Path, told: dict[str, str], emulated: Emulated
) -> None:
    words = ("keyring", "set", tokens.KEYRING_SERVICE, "gra.training.ai.cloud.ovh.net")
    assert call(tmp_path, told, *words, given="a-token-of-ovhcloud\n")[0] == 0
    assert login_check(tmp_path, told, emulated)[0] == ExitCode.CREDENTIALS
