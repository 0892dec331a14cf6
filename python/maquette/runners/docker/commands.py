"""Commands for container images, and for what jobs leave on a Docker daemon."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import AsJson, SettingWords

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.containers.daemon import Daemon
    from maquette.runners.docker.leftovers import Leftover


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    group = typer.Typer(help="Build, push and check container images.", no_args_is_help=True)
    group.command("build")(build)
    group.command("push")(push)
    group.command("check")(check)
    app.add_typer(group, name="images")
    app.command("clean-containers")(clean_containers)


def build(settings: SettingWords = None) -> None:
    """Build our images (VARIANT=cpu, cuda12 or cuda13) on the daemon of DOCKER_HOST."""
    from maquette.containers import building

    chosen = _load(settings)
    for recipe in building.recipes(chosen):
        print(f"building {recipe.reference} on {recipe.base_image}", flush=True)
        building.build(recipe, _daemon(chosen), _show)
        print(f"built {recipe.reference}")


def push(settings: SettingWords = None) -> None:
    """Push our images to REGISTRY; `docker login` first."""
    from maquette.containers import building
    from maquette.containers.options import ImageOptions
    from maquette.errors import ConfigError

    chosen = _load(settings)
    if not chosen.of(ImageOptions).registry:
        raise ConfigError("no registry is named", hint="`make push-images REGISTRY=ghcr.io/you`")
    daemon = _daemon(chosen)
    for recipe in building.recipes(chosen):
        print(f"pushing {recipe.reference}", flush=True)
        building.push(recipe.reference, daemon, _show)
        print(f"pushed {recipe.reference}")


def check(settings: SettingWords = None) -> None:
    """Check an image (IMAGE=, or ours for VARIANT): contents, commands, GPUs, every kernel."""
    from maquette.containers import building, checking
    from maquette.containers.options import ImageOptions

    chosen = _load(settings)
    for recipe in building.recipes(chosen):
        reference = chosen.of(ImageOptions).image or recipe.reference
        gpus = 0 if recipe.variant == "cpu" else chosen.gpu
        for line in checking.check(reference, _daemon(chosen), gpus):
            print(line, flush=True)
        print(f"{reference} is fine")


def clean_containers(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Remove ended containers of this folder's jobs and their volumes, after asking (YES=1).

    What holds work that was never pushed is left, with the commands to continue or to give it up.
    """
    from maquette.errors import UsageError
    from maquette.runners.docker import leftovers
    from maquette.ui.tables import print_rows

    chosen = _load(settings)
    found = leftovers.find_leftovers(chosen)
    if as_json:
        print(json.dumps([leftover.to_json() for leftover in found]))
    elif found:
        print_rows(("model", "step", "exit code", "work", "container"), map(_row, found))
    else:
        print("no ended containers of jobs from here")
    removable = [leftover for leftover in found if leftover.is_pushed]
    if removable and not chosen.dry_run:
        if not (chosen.yes or (sys.stdin.isatty() and typer.confirm("remove what is pushed?"))):
            raise UsageError("nothing was removed", hint="YES=1 removes what is pushed")
        for name in leftovers.remove(chosen, removable):
            print(f"removed {name}", file=sys.stderr if as_json else sys.stdout)
    _explain_unpushed([leftover for leftover in found if not leftover.is_pushed], _daemon(chosen))


def _load(words: list[str] | None) -> Settings:
    """The settings, with this backend's options whatever BACKEND is."""
    from maquette.config.loading import load
    from maquette.runners.docker.options import DockerOptions

    return load(words or (), DockerOptions)


def _daemon(settings: Settings) -> Daemon:
    from maquette.containers.daemon import find_daemon
    from maquette.containers.options import DaemonOptions

    return find_daemon(settings.of(DaemonOptions).docker_host)


def _explain_unpushed(left: list[Leftover], daemon: Daemon) -> None:
    from maquette.runners.docker.leftovers import removal_command

    for leftover in left:
        print(f"{leftover.name} may hold work that was not pushed: it is left", file=sys.stderr)
        again = f"make {leftover.step} {leftover.names}"
        print(f"  to go on with it:  {again}, as before", file=sys.stderr)
        how = removal_command(daemon, leftover)
        print(f"  to give it up:     {how}", file=sys.stderr)


def _row(leftover: Leftover) -> tuple[str, ...]:
    work = "pushed" if leftover.volume else "in the scene here"
    return (
        leftover.model,
        leftover.step,
        str(leftover.exit_code),
        work if leftover.is_pushed else "not all pushed",
        leftover.name,
    )


def _show(line: str) -> None:
    print(f"  {line}", flush=True)
