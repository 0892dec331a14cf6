"""Which backends there are: facts as data; each is imported only when it is used.

Backend `x` is the folder `runners/x/`: `options.py` holds OPTIONS, `runner.py` holds RUNNER, and
`commands.py`, where there is one, the commands that only it has.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from maquette.pipelines.options import Option, options_of


@dataclass(frozen=True)
class Backend:
    """What has to be known of a backend before it is used.

    Attributes:
        summary: A few words for a person who chooses.
        runs_images: Its jobs are containers, so an upstream engine can run there.
        rents_machines: They run on machines of a FLAVOR: the step's own, where none is given.
        ends_with_host: They run on this machine, and end when it does.
        shares_folders: They see this machine's folders under the same paths.
    """

    summary: str
    runs_images: bool = False
    rents_machines: bool = False
    ends_with_host: bool = False
    shares_folders: bool = False


BACKENDS = {
    "local": Backend(
        "processes of this machine; needs nothing else", ends_with_host=True, shares_folders=True
    ),
    "docker": Backend("containers of a Docker daemon, here or elsewhere", runs_images=True),
    "ray": Backend(
        "tasks of a Ray cluster whose machines share a folder or a data store", shares_folders=True
    ),
    "ovh": Backend("jobs of OVHcloud AI Training", runs_images=True, rents_machines=True),
    "slurm": Backend(
        "jobs of a Slurm cluster; scenes lie on a folder that its nodes share", shares_folders=True
    ),
}
DEFAULT = next(iter(BACKENDS))


def with_images() -> str:
    """The first backend that can run an upstream engine."""
    return next(name for name, backend in BACKENDS.items() if backend.runs_images)


@functools.cache
def option_class(name: str) -> type[Any]:
    """The class that declares what backend `name` accepts."""
    found: type[Any] = module_of(name, "options").OPTIONS
    return found


def settings_of(name: str) -> dict[str, Option]:
    """Every setting that a backend accepts."""
    return {option.setting: option for option in options_of(option_class(name))}


def accepting(setting: str) -> tuple[str, ...]:
    """The backends that accept a setting."""
    return tuple(name for name in BACKENDS if setting in settings_of(name))


def command_modules() -> tuple[ModuleType, ...]:
    """The commands that only one backend has, of each that has such."""
    folder = "maquette.runners"
    owners = [name for name in BACKENDS if importlib.util.find_spec(f"{folder}.{name}.commands")]
    return tuple(module_of(name, "commands") for name in owners)


def unknown(name: str) -> str:
    """The sentence about a backend that there is not."""
    near = difflib.get_close_matches(name, BACKENDS, n=1)
    return f"there is no backend `{name}`" + (f", nearest: `{near[0]}`" if near else "")


def module_of(name: str, part: str) -> ModuleType:
    """Import a module of backend `name`: its runner, options or commands."""
    return importlib.import_module(f"maquette.runners.{name}.{part}")
