"""Which object keys may become files: those that stay inside the scene folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from maquette.counting import counted
from maquette.errors import BadInput

_MOST_BYTES_OF_A_NAME = 255


def is_safe(path: str) -> bool:
    """Whether a key's path names a file below the folder, plainly."""
    parts = path.split("/")
    return (
        "\0" not in path
        and (os.sep == "/" or "\\" not in path)
        and all(part not in ("", ".", "..") for part in parts)
        and all(len(os.fsencode(part)) <= _MOST_BYTES_OF_A_NAME for part in parts)
        and not PurePosixPath(path).is_absolute()
    )


def refuse_unsafe(paths: Iterable[str], place: str) -> None:
    """Refuse the whole transfer when any key would escape.

    Args:
        place: Where the keys are, for the message.

    Raises:
        BadInput: names the first keys at fault.
    """
    unsafe = [path for path in paths if not is_safe(path)]
    if unsafe:
        raise BadInput(
            f"{counted(len(unsafe), 'key')} would leave the scene folder, "
            f"nothing was moved: `{place}`",
            detail="\n".join(repr(path) for path in unsafe[:5]),
            hint="somebody else put them there: look at the bucket, remove them, pull again",
        )


def target(root: Path, path: str) -> Path:
    """Where an object's file belongs, with its folder made; never through a symbolic link.

    Raises:
        BadInput: a folder on the way is a symbolic link or a file.
    """
    folder = str(root)
    try:
        for part in path.split("/")[:-1]:
            folder = f"{folder}/{part}"
            mode = os.lstat(folder).st_mode
            if stat.S_ISLNK(mode):
                raise BadInput(
                    f"a pull would write through a symbolic link: `{folder}`",
                    hint="replace the link by a folder, or move it out of the scene",
                )
            if not stat.S_ISDIR(mode):
                raise BadInput(
                    f"a pull would make a folder where a file is: `{folder}`",
                    hint="move the file away, then pull again",
                )
    except FileNotFoundError:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    return root / path


def remove_empty(folder: Path) -> None:
    """Make room for a file where a folder is in which there are no files.

    Raises:
        BadInput: there are some.
    """
    for below, _, _ in os.walk(folder, topdown=False):
        try:
            Path(below).rmdir()
        except OSError:
            raise BadInput(
                f"a pull would put a file where a folder is: `{folder}`",
                hint="move the folder away, then pull again",
            ) from None
