"""Commands that only OVHcloud AI Training has, and its emulator."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from maquette.cli.arguments import AsJson, SettingWords
from maquette.counting import counted
from maquette.errors import UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.runners.ovh.orphans import Orphan

RuntimeName = Literal["auto", "container", "process"]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    group = typer.Typer(help="OVHcloud AI Training.", no_args_is_help=True)
    group.command("login-check")(login_check)
    app.add_typer(group, name="ovh")
    app.command("flavors")(flavors)
    app.command("sweep")(sweep)
    app.command("emulator")(emulator)


def login_check(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Tell who the token belongs to, its role, the quota and the region; starts nothing."""
    from maquette.runners.ovh import account
    from maquette.ui.tables import print_rows

    facts = account.check(_load(settings))
    if as_json:
        print(json.dumps(facts))
    else:
        print_rows(("fact", "value"), [(name, _fact(value)) for name, value in facts.items()])


def flavors(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """List the machine types that can be had, with prices."""
    from dataclasses import asdict

    from maquette.runners.ovh import account
    from maquette.ui.tables import print_rows

    table, remarks = account.flavors(_load(settings))
    if as_json:
        print(json.dumps([asdict(item) for item in table]))
        return
    rows = [
        (
            item.id,
            item.gpu or "-",
            f"{item.vram_gib:g}" if item.gpu else "-",
            str(item.vcpu),
            f"{item.ram_gib:g}",
            str(item.max_units),
            f"{item.eur_per_minute * 60:.2f}" if item.eur_per_minute else "?",
            item.price_from,
        )
        for item in table
    ]
    print_rows(("flavor", "GPU", "VRAM GiB", "vCPU", "RAM GiB", "max", "EUR/h", "price"), rows)
    for remark in remarks:
        print(remark, file=sys.stderr)


def sweep(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """List running jobs of ours that no document knows; stop them after asking (YES=1: without)."""
    from maquette.runners.ovh import orphans
    from maquette.runners.ovh.runner import OvhRunner
    from maquette.ui.tables import print_rows

    chosen, runner = _load(settings), OvhRunner()
    found = orphans.find(runner, chosen)
    if as_json:
        print(json.dumps([orphan.to_json() for orphan in found.ours]))
    elif found.ours:
        header = ("model", "step", "state", "since", "EUR at most", "job")
        print_rows(header, [_orphan_row(orphan) for orphan in found.ours])
    else:
        print("every running job of ours has a document here")
    if found.others:
        print(f"{counted(found.others, 'running job')} of other people or machines: left alone")
    if not found.ours or chosen.dry_run:
        return
    if not (chosen.yes or (sys.stdin.isatty() and typer.confirm("stop these jobs?"))):
        raise UsageError(
            "nothing was stopped",
            hint="YES=1 stops them; `maquette jobs adopt` makes them known here instead",
        )
    for orphan in found.ours:
        orphans.stop(runner, chosen, orphan)
        print(f"{orphan.job_id} was asked to stop", file=sys.stderr if as_json else sys.stdout)


def emulator(
    settings: SettingWords = None,
    folder: Annotated[Path, typer.Option(help="its memory: jobs, logs, token")] = Path(".emulator"),
    runtime: Annotated[
        RuntimeName, typer.Option("--runtime", "--engine", help="what runs the jobs")
    ] = "auto",
    second: Annotated[float, typer.Option(min=0.001, help="wall seconds of its second")] = 1.0,
    first_page: Annotated[int, typer.Option(min=0, max=1, help="number of a first page")] = 0,
    dated_log: Annotated[bool, typer.Option(help="log lines begin with a date")] = False,
    clear_entrypoint: Annotated[bool, typer.Option(help="ignore an image's ENTRYPOINT")] = False,
    init: Annotated[bool, typer.Option(help="process 1 of a container is an init")] = False,
    gpus: Annotated[int, typer.Option(min=0, help="quota of GPUs")] = 4,
    cpus: Annotated[int, typer.Option(min=0, help="quota of CPUs")] = 12,
) -> None:
    """Serve an emulated OVHcloud AI Training on LISTEN, to try everything without an account."""
    from maquette.errors import missing_part

    chosen = _load(settings)
    try:
        from maquette.emulator.app import ApiOptions
        from maquette.emulator.clock import Clock
        from maquette.emulator.container_runtime import ContainerOptions
        from maquette.emulator.server import Options, build, choose_runtime, stores_of
    except ModuleNotFoundError as error:
        raise missing_part("emulator", "the emulator", error) from error
    host, _, port = chosen.listen.rpartition(":")
    options = Options(
        folder=(chosen.base_dir / folder).resolve(),
        runtime=choose_runtime(runtime, ContainerOptions(not clear_entrypoint, init)),
        stores=stores_of(chosen.base_dir),
        host=host,
        port=int(port),
        clock=Clock(second_s=second),
        api=ApiOptions(first_page, dated_log),
        quota={"CPU": cpus, "GPU": gpus},
    )
    server, listener, running = build(options)
    print(f"OVHcloud AI Training, emulated: {running.url}  (Ctrl-C ends it; its jobs go on)")
    print(f"jobs run as {options.runtime.name}")
    print("in another terminal:")
    print(f"  export OVH_URL={running.url} OVHAI_TOKEN=$(cat {options.folder / 'token'})")
    print("  make process BACKEND=ovh MODEL=…", flush=True)
    server.run(sockets=[listener])


def _load(words: list[str] | None) -> Settings:
    """The settings, with this backend's options whatever BACKEND is."""
    from maquette.config.loading import load
    from maquette.runners.ovh.options import OvhOptions

    return load(words or (), OvhOptions)


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return "not told" if value is None else str(value)


def _orphan_row(orphan: Orphan) -> tuple[str, ...]:
    facts: dict[str, Any] = orphan.to_json()
    names = ("model", "step", "state", "since", "eur_at_most", "job_id")
    return tuple("?" if facts[name] is None else str(facts[name]) for name in names)
