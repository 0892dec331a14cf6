"""The command line of a step where this Python and the scene's own folder are at hand."""

from __future__ import annotations

import sys

from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.runners.registry import with_images


def require_ours(job: JobSpec) -> None:
    """Refuse an upstream engine.

    Raises:
        ConfigError: the job is for one, which only its image has.
    """
    if job.licence:
        raise ConfigError(
            f"an upstream engine runs in its own image: {job.spec['image']}",
            hint=f"BACKEND={with_images()}, or ENGINE=native",
        )


def with_paths(job: JobSpec) -> list[str]:
    """The step's argv with the folders of this machine."""
    paths = {"{scene}": str(job.scene), "{options}": str(job.scene / job.options_file)}
    return [paths.get(word, word) for word in job.command]


def with_this_python(argv: list[str]) -> list[str]:
    """Run `maquette-step` with this interpreter, wherever the script itself lies."""
    if argv[0] == "maquette-step":
        return [sys.executable, "-m", "maquette.recon.step", *argv[1:]]
    return argv
