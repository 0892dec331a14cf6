"""A backend of the package keyring that keeps passwords in a file, for tests.

`PYTHON_KEYRING_BACKEND=keyring_in_file.FileKeyring` chooses it; MAQUETTE_TEST_KEYRING names
the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Passwords by service and user, in the open."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        """The password, if there is one."""
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        kept = {**self._read(), f"{service} {username}": password}
        self._file.write_text(json.dumps(kept), encoding="utf-8")

    @property
    def _file(self) -> Path:
        return Path(os.environ["MAQUETTE_TEST_KEYRING"])

    def _read(self) -> dict[str, str]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}
