"""Where the token comes from: the environment, `.env` or the system's keyring; we keep none."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from maquette.config.loading import dotenv_of
from maquette.errors import CredentialsError

VARIABLE = "OVHAI_TOKEN"
KEYRING_SERVICE = "maquette-ovh"


def find(url: str, folder: Path | None = None) -> tuple[str, str]:
    """The token for an address, and the name of its source.

    Args:
        folder: Where `.env` lies (default: the working folder).

    Raises:
        CredentialsError: there is none.
    """
    host = urlsplit(url).hostname or ""
    places: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("environment", lambda: os.environ.get(VARIABLE)),
        (".env", lambda: dotenv_of(folder or Path.cwd()).get(VARIABLE)),
        ("keyring", lambda: _from_keyring(host)),  # asked last: some ask the person
    )
    for source, look in places:
        if token := (look() or "").strip():
            return _plain(token, source), source
    raise CredentialsError(
        f"no token for OVHcloud AI Training was found ({VARIABLE})",
        detail="looked at: environment, .env, "
        f"keyring (service {KEYRING_SERVICE}, user {host}; needs the package keyring)",
        hint=f"make one with `ovhai token create` or in OVHcloud's panel and set {VARIABLE}",
    )


def _plain(token: str, source: str) -> str:
    if all("!" <= character <= "~" for character in token):
        return token
    raise CredentialsError(
        f"{VARIABLE} ({source}) is no token: it holds blanks, line ends or letters that none has",
        hint="copy it again, whole and alone; dots are often those of a shortened view",
    )


def _from_keyring(host: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ModuleNotFoundError:
        return None
    try:
        found: str | None = keyring.get_password(KEYRING_SERVICE, host)
    except Exception:  # each system's keyring has failures of its own; there is none then
        return None
    return found
