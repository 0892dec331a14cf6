"""Names, pointer and completeness of checkpoints; the tensors inside are the engine's matter."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from maquette.errors import NotFound
from maquette.scene.atomic import write_text

POINTER = "latest_checkpoint.txt"
CHECKSUM_SUFFIX = ".sha256"  # of the file beside a checkpoint, as `sha256sum` writes it
_LARGEST_PICKLE_BYTES = 64 << 20
_NAME = re.compile(r"epoch_(\d{5,})_iteration_(\d{9,})_checkpoint\.pt")


@dataclass(frozen=True)
class Choice:
    """The checkpoint to use, and why it is not the one the pointer names (or "")."""

    path: Path
    remark: str = ""


def checkpoint_name(epoch: int, iteration: int) -> str:
    """Neuralangelo's file name, e.g. epoch_00020_iteration_000001000_checkpoint.pt."""
    return f"epoch_{epoch:05}_iteration_{iteration:09}_checkpoint.pt"


def iteration_of(name: str) -> int | None:
    """The iteration a checkpoint's name states, or None for another file."""
    match = _NAME.fullmatch(name)
    return int(match.group(2)) if match else None


def write_pointer(run: Path, name: str) -> None:
    """Point at a checkpoint; call this only after the file itself is complete."""
    write_text(run / POINTER, name + "\n")


def read_pointer(run: Path) -> str | None:
    """The name the pointer gives, in either form, or None when it is missing or empty."""
    try:
        text = (run / POINTER).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    name = text.strip().removeprefix("latest_checkpoint:").strip()
    return name or None


def is_complete(path: Path) -> bool:
    """Whether a checkpoint file was written to its end (a zip whose members all check)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError):
        return False


def all_below(root: Path) -> list[Path]:
    """Every checkpoint of every run of a scene."""
    files = (root / "runs").rglob("*.pt")
    return sorted(path for path in files if iteration_of(path.name) is not None)


def listed(run: Path) -> list[Path]:
    """All checkpoint files of a run, newest iteration first."""
    files = [path for path in run.glob("*.pt") if iteration_of(path.name)]
    return sorted(files, key=lambda path: iteration_of(path.name) or 0, reverse=True)


def newest(run: Path) -> Choice | None:
    """Choose the checkpoint to continue from or to extract: the pointer's, else the newest whole.

    Returns:
        The choice with a remark when it is not what the pointer says; None when there is none.
    """
    named = read_pointer(run)
    if named and Path(named).name == named and is_complete(run / named):
        return Choice(run / named)
    for path in listed(run):
        if is_complete(path):
            reason = f"{POINTER} names `{named}`, which is damaged" if named else f"no {POINTER}"
            return Choice(path, f"{reason}; using {path.name}, the newest complete checkpoint")
    return None


def chosen(run: Path, wanted: str = "") -> Choice:
    """Find the checkpoint a person asked for by name, path or iteration, or the newest.

    Raises:
        NotFound: there is no such checkpoint, or none at all.
    """
    if not wanted:
        found = newest(run)
        if found is None:
            raise NotFound(f"no checkpoint in `{run}`", hint="run `make process` first")
        return found
    for path in (run / wanted, Path(wanted)):
        if path.is_file():
            return Choice(path)
    for path in listed(run):
        if wanted.isdigit() and iteration_of(path.name) == int(wanted):
            return Choice(path)
    names = ", ".join(path.name for path in listed(run)) or "none"
    raise NotFound(f"no checkpoint `{wanted}` in `{run}`", detail=f"there are: {names}")


def mentions(path: Path, *digests: str) -> bool:
    """Whether a checkpoint holds one of these digests, as of the sphere that it was trained in.

    The tensors' pickle names it as plain text, so this needs no torch. An unreadable file
    mentions nothing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [item for item in archive.infolist() if item.filename.endswith("data.pkl")]
            contents = [archive.read(i) for i in pickles if i.file_size < _LARGEST_PICKLE_BYTES]
            return any(digest.encode() in content for content in contents for digest in digests)
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError):
        return False
