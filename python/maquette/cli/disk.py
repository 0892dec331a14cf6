"""The command `disk`: what a scene takes."""

from __future__ import annotations

import json

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.cli.workspaces import require_scene


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("disk")(disk)


def disk(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Show what each stage of MODEL's scene keeps on the disk, and what can be made again."""
    from dataclasses import asdict

    from maquette.scene import disk_usage
    from maquette.scene.paths import Scene
    from maquette.ui.tables import print_rows

    chosen = load_settings(settings)
    require_scene(chosen)
    found = disk_usage.of_scene(Scene(chosen.scene_dir))
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    whole = sum(one.size_bytes for one in found)
    rows = [
        (one.name, f"{one.size_bytes / 1e6:.1f} MB", ", ".join(one.readers), one.remark)
        for one in found
        if one.size_bytes or one.pruned_bytes
    ]
    rows.append(("all", f"{whole / 1e6:.1f} MB", "", ""))
    print_rows(("of", "size", "read by", "what it is"), rows)
