"""`maquette`: what every make target calls."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.exceptions import TyperException

from maquette.cli import (
    adjust,
    batch,
    data,
    disk,
    estimates,
    generated_scenes,
    jobs,
    page,
    publish,
    region,
    run,
    scenes,
    stores,
    texture,
    unpublish,
    whole,
)
from maquette.cli.arguments import complete
from maquette.errors import ExitCode, MaquetteError, format_error, from_os_error
from maquette.runners.registry import command_modules
from maquette.ui.targets import as_typed

HELP = """Turn a video or a set of photos into a 3D model.

Settings are NAME=value words, the same as make's variables; `maquette settings` lists them.

Exit codes: 0 ok · 1 a bug · 2 usage · 10 configuration · 11 credentials or quota ·
12 the job failed · 13 not found · 14 bad input data · 130 interrupted
"""

app = typer.Typer(
    help=HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
for module in (
    run, whole, batch, jobs, estimates, texture, scenes, disk, region, adjust, page, publish,
    unpublish, data, stores, generated_scenes,
    *command_modules(),
):  # fmt: skip
    module.add_to(app)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from maquette.resources import version

        print(f"maquette {version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="print it", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """What can stand before a command."""


def main() -> None:
    """Run the command; every error becomes a sentence and its exit code, here only."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that knows few letters gets `?`
            stream.reconfigure(errors="replace")
    try:
        code = app(prog_name="maquette", standalone_mode=False)
    except MaquetteError as error:
        print(as_typed(complete(format_error(error))), file=sys.stderr)
        code = error.exit_code
    except TyperException as error:
        context = getattr(error, "ctx", None)
        words = context.command_path.split()[1:] if context else []
        hint = " ".join(["maquette", *words, "--help"])
        said = error.format_message().replace(": Value error, ", ": ")  # names the option
        print(f"error: {said}\n\nhint: see `{hint}`", file=sys.stderr)
        code = ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        code = ExitCode.OK
    except OSError as error:
        failure = from_os_error(error, "working with files")
        print(format_error(failure), file=sys.stderr)
        code = failure.exit_code
    finally:
        _forget_handled_interrupts()
    sys.exit(int(code or 0))


def _forget_handled_interrupts() -> None:
    """Let the exit code count also where Ctrl-C came while text was executed, as dataclasses do.

    CPython's `python -m` remembers such a KeyboardInterrupt although it was handled, and ends by
    SIGINT; it forgets it when text is executed again.
    """
    exec("")


if __name__ == "__main__":
    main()
