"""Commands that move a scene to and from a bucket."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.counting import counted
from maquette.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.storage.object_store import ObjectStore
    from maquette.storage.planning import Direction, Plan
    from maquette.storage.syncing import Comparison, Sync, SyncResult

_SHOWN = 40


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    group = typer.Typer(help="Move a scene to and from an S3 bucket.", no_args_is_help=True)
    group.command("push")(push)
    group.command("pull")(pull)
    group.command("clear")(clear)
    app.add_typer(group, name="data")


def push(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Upload what is new or changed here (DRY_RUN=1: only show it)."""
    _sync("push", settings, as_json)


def pull(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Download what is new or changed in the bucket (DRY_RUN=1: only show it)."""
    _sync("pull", settings, as_json)


def clear(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Remove the scene from the bucket, after asking (YES=1: without); DRY_RUN=1 only shows it."""
    from maquette.storage.scene_bucket import opened
    from maquette.ui import text

    chosen = load_settings(settings)
    with opened(chosen.data) as bucket:
        sync = _sync_of(chosen, bucket)
        stored = sync.stored()
        total = sum(item.size for item in stored.values())
        said = f"{counted(len(stored), 'object')}, {text.size(total)} at {bucket.url()}"
        if stored and not chosen.dry_run:
            _confirm_clearing(chosen, said)
            sync.clear(stored)
    if as_json:
        print(json.dumps({"removed": 0 if chosen.dry_run else len(stored), "bytes": total}))
    elif not stored:
        print(f"there is nothing to remove at {bucket.url()}")
    else:
        print(f"would remove {said}" if chosen.dry_run else f"removed {said}")


def _sync(direction: Direction, words: list[str] | None, as_json: bool) -> None:
    from maquette.scene.layout import open_scene
    from maquette.storage.conflicts import Conflict
    from maquette.storage.scene_bucket import opened
    from maquette.storage.syncing import SyncOptions
    from maquette.ui.transfers import TransferPrinter

    chosen = load_settings(words)
    options = SyncOptions(direction, chosen.delete, chosen.prefer, chosen.relist)
    with opened(chosen.data) as bucket:
        sync = _sync_of(chosen, bucket)
        if chosen.dry_run:
            comparison = sync.compare(options)
            _show_plan(comparison, bucket.url(), as_json)
            _note_unused_selection(comparison.plan, chosen.only)
            return
        printer = TransferPrinter(as_json)
        try:
            result = sync.run(options, printer.show, _show_removals)
        except Conflict as conflict:
            printer.close()
            if conflict.result:
                _show_outcome(conflict.result, bucket.url(), as_json)
            raise
        except KeyboardInterrupt:
            again = f"`make {direction}-data MODEL={chosen.model}` does the rest"
            raise Interrupted(
                f"{direction} was interrupted; finished files stay", hint=again
            ) from None
        finally:
            printer.close()
        open_scene(chosen.scene_dir, chosen.pipeline)  # what came may be of the version before
        _show_outcome(result, bucket.url(), as_json)
        _note_unused_selection(result.plan, chosen.only)


def _sync_of(settings: Settings, bucket: ObjectStore) -> Sync:
    from maquette.storage.selection import selection
    from maquette.storage.syncing import Sync

    selects = selection(settings.scene_dir, settings.only, settings.base_dir.resolve())
    return Sync(settings.scene_dir, bucket, selects)


def _show_plan(comparison: Comparison, url: str, as_json: bool) -> None:
    from maquette.ui import text

    plan = comparison.plan
    if as_json:
        print(json.dumps({**plan.to_json(), "left_out": list(comparison.left_out)}))
        return
    actions = (*plan.replaced, *plan.actions)
    for action in actions[:_SHOWN]:
        print(f"{text.size(action.size):>10}  {action.verb:<12}  {action.path}")
    if len(actions) > _SHOWN:
        print(f"{'':>10}  … and {len(actions) - _SHOWN} more")
    for item in plan.conflicts:
        print(f"{text.size(item.size):>10}  {'conflict':<12}  {item.path}")
    for clash in plan.clashes:
        print(f"{'':>10}  {'one name':<12}  {clash.file}, and {clash.below}")
    moving, removing = plan.moving(), [*plan.replaced, *plan.removing()]
    total = text.size(sum(item.size for item in moving))
    removed = f", remove {len(removing)}" if removing else ""
    print(f"would {plan.direction} {text.files(len(moving))}, {total}{removed}{_rest(plan)}  {url}")


def _show_removals(plan: Plan) -> None:
    """Show what DELETE=1 removes before it does."""
    from maquette.ui import text

    for action in plan.removing():
        print(f"{text.size(action.size):>10}  {action.verb:<12}  {action.path}", file=sys.stderr)


def _show_outcome(result: SyncResult, url: str, as_json: bool) -> None:
    print(json.dumps(result.to_json()) if as_json else _summary(result, url))


def _note_unused_selection(plan: Plan, only: str) -> None:
    if only and not any((plan.actions, plan.same, *plan.left())):
        known = "results, checkpoints or a glob such as '*.ply'"
        print(f"note: no file fits ONLY={only} ({known})", file=sys.stderr)


def _summary(result: SyncResult, url: str) -> str:
    from maquette.ui import text

    done = "pushed" if result.plan.direction == "push" else "pulled"
    arrow = "→" if result.plan.direction == "push" else "←"
    rate = text.size(result.bytes / result.seconds) if result.bytes else ""
    removed = f", removed {result.removed}" if result.removed else ""
    speed = f" ({rate}/s)" if rate else ""
    return (
        f"{done} {text.files(result.files)}, {text.size(result.bytes)} in "
        f"{text.duration(result.seconds)}{speed}{removed}{_rest(result.plan)}"
        f"{_left_out(result)}  {arrow} {url}"
    )


def _rest(plan: Plan) -> str:
    other = "there" if plan.direction == "push" else "here"
    rest = [f"{len(plan.same)} unchanged"]
    if plan.conflicts:
        rest.append(f"{len(plan.conflicts)} changed on both sides, kept")
    if plan.newer_elsewhere:
        rest.append(f"{len(plan.newer_elsewhere)} newer {other}, kept")
    if plan.removable:
        gone = "here" if plan.direction == "push" else "there"
        rest.append(f"{len(plan.removable)} removed {gone}, kept (DELETE=1 removes them)")
    return "; " + ", ".join(rest)


def _left_out(result: SyncResult) -> str:
    left = len(result.left_out)
    return f"; left out as links or for odd names: {left}" if left else ""


def _confirm_clearing(settings: Settings, said: str) -> None:
    if settings.yes:
        return
    if not (sys.stdin.isatty() and typer.confirm(f"remove {said}?")):
        raise UsageError(
            f"nothing was removed: {said}", hint="add YES=1 to remove without being asked"
        )
