"""Who runs us, also where the system has no name and no home folder for this user."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from maquette.errors import ConfigError


def user_name() -> str:
    """The user's name; of one that the system does not know, the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # which of them depends on Python's version
        return f"user-{os.getuid()}"


def home() -> Path:
    """The user's home folder.

    Raises:
        ConfigError: there is none.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigError(
            f"this user ({user_name()}) has no home folder, and HOME is not set",
            hint="`export HOME=…` to a folder that may be written to",
        ) from None
