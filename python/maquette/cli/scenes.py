"""Commands about scenes: evaluate, report, clean, settings, and the results of a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import AsJson, SettingWords, complete, load_settings
from maquette.cli.workspaces import require_scene
from maquette.errors import NotFound, UsageError, from_exit_code, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("evaluate")(evaluate)
    app.command("report")(report)
    app.command("clean")(clean)
    app.command("settings")(settings_table)


def evaluate(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Measure cameras, surface and held-out views; against ground truth where there is one."""
    chosen = load_settings(settings)
    if as_json:
        print(json.dumps(run_evaluation(chosen)))
    else:
        print_evaluation(chosen)


def report(settings: SettingWords = None) -> None:
    """Write the page `report.html` of MODEL's scene anew, and print where it is."""
    print(shown_path(write_page(load_settings(settings))))


def clean(settings: SettingWords = None) -> None:
    """Delete the scene of MODEL and its logs, after asking (YES=1: without)."""
    import shutil

    chosen = load_settings(settings)
    folders = [chosen.scene_dir, *chosen.logs_dir.glob(f"*/{chosen.model}")]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        print(f"nothing to delete for MODEL={chosen.model}")
        return
    _refuse_while_running(chosen)
    for folder in folders:
        print(f"{_megabytes(folder):10.1f} MB  {shown_path(folder)}")
    if not chosen.yes and not _is_confirmed():
        raise UsageError("nothing was deleted", hint="add YES=1 to delete without being asked")
    for folder in folders:
        shutil.rmtree(folder)


def settings_table(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """List every setting: its default and meaning, and its value and source for MODEL."""
    from maquette.config.loading import load
    from maquette.config.table import given, rows
    from maquette.ui.tables import print_rows

    chosen = load(settings or ())
    values = given(chosen)
    found = [
        (name, default, *values.get(name, ("", "")), step, meaning)
        for name, default, step, meaning in rows(chosen.pipeline, chosen.backend)
    ]
    keys = ("default", "value", "from", "for", "meaning")
    if as_json:
        print(json.dumps([dict(zip(("name", *keys), row, strict=True)) for row in found]))
    else:
        print_rows(("setting", *keys), found)


def print_results(settings: Settings, steps: tuple[str, ...]) -> None:
    """Print the table of stages and the paths of what the steps made."""
    from maquette.pipelines.registry import get_pipeline
    from maquette.scene import outputs
    from maquette.scene.paths import Scene
    from maquette.ui.tables import print_report

    scene, pipeline = Scene(settings.scene_dir, settings.pipeline), get_pipeline(settings.pipeline)
    print_report(json.loads(scene.report.read_text(encoding="utf-8")), pipeline.name, steps)
    found = outputs.read(scene)
    for step in steps:
        places = [
            (name, place.format(pipeline=pipeline.name, group=settings.group))
            for name, place in pipeline.steps[step].shows.items()
        ]
        places += [(Path(item.path).name, item.path) for item in found if item.step == step]
        for name, place in places:
            if (scene.root / place).exists():
                print(f"{name:<22} {shown_path(scene.root / place)}")
    print(f"{'report':<22} {shown_path(scene.report)}")
    if scene.report_page.is_file():
        print(f"{'report, to look at':<22} {shown_path(scene.report_page)}")


def write_page(settings: Settings) -> Path:
    """Have the data plane write `report.html`; returns where it is.

    Raises:
        NotFound: there is no such scene.
        MaquetteError: it was not written; carries its own words.
    """
    from maquette.scene.paths import Scene

    require_scene(settings)
    argv = [sys.executable, "-m", "maquette.recon.report_page"]
    argv += ["--scene", str(settings.scene_dir), "--pipeline", settings.pipeline]
    done = _run_while_here(argv)
    if done.returncode != 0:
        raise _reported(done, "writing the report")
    return Scene(settings.scene_dir).report_page


def print_evaluation(settings: Settings) -> None:
    """Evaluate the scene and print the figures."""
    from maquette.scene.paths import Scene
    from maquette.ui import text
    from maquette.ui.tables import print_rows

    result = run_evaluation(settings)
    reasons = result["reasons"]
    rows = [
        (key.replace("_", " "), complete(reasons[key]) if value is None else text.number(value))
        for key, value in result.items()
        if not isinstance(value, dict)
    ]
    print_rows(("measure", "value"), rows)
    path = Scene(settings.scene_dir, settings.pipeline).evaluation
    print(f"{'evaluation':<22} {shown_path(path)}")


def run_evaluation(settings: Settings) -> dict[str, Any]:
    """Run the evaluation in the data plane and return what it wrote.

    Raises:
        NotFound: there is no such scene.
        MaquetteError: the evaluation failed; carries its own words.
    """
    from maquette.pipelines.registry import get_pipeline
    from maquette.scene.paths import Scene

    scene = settings.scene_dir
    require_scene(settings)
    argv = [sys.executable, "-m", "maquette.recon.evaluate", "--scene", str(scene)]
    argv += ["--pipeline", settings.pipeline, "--group", settings.group]
    argv += ["--renderer", get_pipeline(settings.pipeline).renderer]
    truth = ground_truth_folder(settings)
    if truth is not None:
        argv += ["--truth", str(truth)]
    done = _run_while_here(argv)
    if done.returncode != 0:
        raise _reported(done, "the evaluation")
    written = Scene(scene, settings.pipeline).evaluation
    result: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return result


def ground_truth_folder(settings: Settings) -> Path | None:
    """Where the truth of a model lies: GROUND_TRUTH, or beside the bundled sample.

    Raises:
        NotFound: GROUND_TRUTH names a folder that holds none.
    """
    from maquette.resources import ROOT

    if settings.ground_truth:
        folder = Path(settings.ground_truth).expanduser().resolve()
        if not (folder / "ground_truth.json").is_file():
            raise NotFound(f"no ground_truth.json in `{folder}` (GROUND_TRUTH)")
        return folder
    bundled = ROOT / "samples" / settings.model
    return bundled if (bundled / "ground_truth.json").is_file() else None


def _run_while_here(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that stops when this process ends, in whatever way."""
    from maquette.agent.step_process import LIFELINE

    read_end, write_end = os.pipe()
    environment = {**os.environ, LIFELINE: str(read_end)}
    try:
        return subprocess.run(
            argv, env=environment, pass_fds=[read_end], capture_output=True, text=True, check=False
        )
    finally:
        os.close(read_end)
        os.close(write_end)


def _reported(done: subprocess.CompletedProcess[str], what: str) -> Exception:
    from maquette.scene.events import parse_log_line

    for line in reversed(done.stdout.splitlines()):
        event = parse_log_line(line)
        if event and event["event"] == "error":
            return from_exit_code(
                event["code"], event["what"], detail=event["detail"], hint=event["hint"]
            )
    return RuntimeError(f"{what} ended with {done.returncode}:\n{done.stderr}")


def _refuse_while_running(settings: Settings) -> None:
    from maquette.jobs.ledger import find_all
    from maquette.jobs.states import has_ended
    from maquette.runners import tracking

    for ledger in find_all(settings.logs_dir):
        if ledger.model != settings.model or ledger.is_damaged:
            continue
        if not has_ended(tracking.refresh(ledger)["status"]):
            raise UsageError(
                f"{ledger.step} of `{ledger.model}` still runs; nothing was deleted",
                hint=f"`make {ledger.step}-stop {ledger.names}` first",
            )


def _is_confirmed() -> bool:
    return sys.stdin.isatty() and typer.confirm("delete these folders?")


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
