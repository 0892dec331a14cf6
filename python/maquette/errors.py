"""The exception tree and the exit codes of every command."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What a command's exit status means, the same for the CLI and for every step."""

    OK = 0
    BUG = 1
    USAGE = 2
    CONFIG = 10
    CREDENTIALS = 11
    JOB_FAILED = 12
    NOT_FOUND = 13
    BAD_INPUT = 14
    INTERRUPTED = 130


class MaquetteError(Exception):
    """A failure that a person can act on.

    Args:
        what: What failed and where, with the value, in one sentence.
        detail: Facts behind it (which stage, which measurement).
        hint: The one next command or change that helps.
    """

    exit_code = ExitCode.JOB_FAILED

    def __init__(self, what: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.detail = detail
        self.hint = hint


class UsageError(MaquetteError):
    """The command line asks for something that does not fit together."""

    exit_code = ExitCode.USAGE


class ConfigError(MaquetteError):
    """A setting is unknown or has an unusable value."""

    exit_code = ExitCode.CONFIG


class CredentialsError(MaquetteError):
    """A credential is missing or refused, or a quota is used up."""

    exit_code = ExitCode.CREDENTIALS


class JobFailed(MaquetteError):
    """A job or a part of it did not reach its end."""

    exit_code = ExitCode.JOB_FAILED


class Unanswered(JobFailed):
    """Who should know of a job does not answer: the job itself may run on."""


class NotFound(MaquetteError):
    """A scene, job, checkpoint or file does not exist."""

    exit_code = ExitCode.NOT_FOUND


class BadInput(MaquetteError):
    """The data that the person gave can not be used."""

    exit_code = ExitCode.BAD_INPUT


class Interrupted(MaquetteError):
    """The work was asked to stop and has saved what it had."""

    exit_code = ExitCode.INTERRUPTED


_BY_EXIT_CODE: dict[int, type[MaquetteError]] = {
    kind.exit_code: kind
    for kind in (
        UsageError,
        ConfigError,
        CredentialsError,
        JobFailed,
        NotFound,
        BadInput,
        Interrupted,
    )
}


def from_exit_code(code: int, what: str, *, detail: str = "", hint: str = "") -> MaquetteError:
    """Rebuild the error of another process from its exit code; unknown codes mean JobFailed."""
    return _BY_EXIT_CODE.get(code, JobFailed)(what, detail=detail, hint=hint)


NO_SPACE = "no space left"


def missing_part(part: str, what: str, error: ModuleNotFoundError) -> MaquetteError:
    """Say which part of maquette, an extra of its installation, something needs.

    Raises:
        ModuleNotFoundError: what is not there is ours, which no extra brings.
    """
    if (error.name or "maquette").split(".")[0] == "maquette":
        raise error
    return ConfigError(
        f"{what} needs the part `{part}`, which is not installed: {error.name}",
        hint=f"pip install 'maquette-….whl[{part}]'; the Makefile's own environment has it",
    )


def from_os_error(error: OSError, doing: str, place: str = "the working folder") -> MaquetteError:
    """Say an operating-system error (full disk, read-only folder …) as a sentence.

    Args:
        error: What the system raised.
        doing: What was being done, as in "writing the checkpoint".
        place: Where it was done, which is told where the system names no file.
    """
    where = _full_path(error.filename) if error.filename else place
    if error.errno == errno.ENOSPC or error.errno == errno.EDQUOT:
        where = where if error.filename else _full_folder(place)
        return JobFailed(
            f"{NO_SPACE} while {doing}: `{where}`",
            hint=f"free space (see `df -h {shlex.quote(where)}`), then run the same command again: "
            "it continues",
        )
    if error.errno == errno.EROFS:
        return JobFailed(
            f"not allowed while {doing}: `{where}` lies on a file system that is read-only",
            hint="mount it so that it can be written, or work elsewhere: BASE_DIR=…",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        owned = shlex.quote(where)
        return JobFailed(
            f"not allowed while {doing}: `{where}`",
            detail=os.strerror(error.errno),
            hint=f'`sudo chown -R "$(id -u):$(id -g)" {owned}` gives it to you, then run the same '
            "command again",
        )
    return JobFailed(f"the system refused while {doing}: `{where}`", detail=str(error))


def _full_path(name: object) -> str:
    """A file as an error names it, from the root; of an open one the number is all there is."""
    if isinstance(name, (str, bytes, os.PathLike)):
        return str(Path(os.fsdecode(name)).absolute())
    return str(name)


def _full_folder(place: str) -> str:
    """The folder whose disk is full, where the system names none: the fullest of those we use."""
    known = [Path(place), Path.cwd(), Path(tempfile.gettempdir())]
    free = {}
    for folder in known:
        try:
            free[str(folder.absolute())] = shutil.disk_usage(folder).free
        except OSError:
            continue
    return min(free, key=lambda folder: free[folder]) if free else place


def format_error(error: MaquetteError) -> str:
    """Lay an error out for a terminal: what, details, one next command."""
    lines = [f"error: {error.what}"]
    lines += [f"  {line}" for line in error.detail.splitlines()]
    if error.hint:
        lines += ["", f"hint: {error.hint}"]
    return "\n".join(lines)


def shown_path(path: Path) -> str:
    """Write a path relative to the working folder when it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)
