"""How the programs of the data plane end: what failed is told, and becomes the exit code."""

from __future__ import annotations

from collections.abc import Callable

from maquette.errors import ExitCode, MaquetteError, from_os_error, missing_part
from maquette.scene.events import Progress


def exit_code(progress: Progress, what: str, doing: str, work: Callable[[], object]) -> int:
    """Do the work of a program and return its exit code (`maquette.errors`).

    Args:
        what: What needs the libraries of this plane, as in "a report".
        doing: What a system's error came in the way of, as in "writing report.html".
    """
    try:
        work()
    except ModuleNotFoundError as error:
        return progress.failed(missing_part("recon", what, error))
    except MaquetteError as error:
        return progress.failed(error)
    except OSError as error:
        return progress.failed(from_os_error(error, doing))
    return ExitCode.OK
