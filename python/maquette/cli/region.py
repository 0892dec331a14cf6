"""`maquette region`: see the region of interest and set it, without a window."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.cli.workspaces import open_scene
from maquette.errors import UsageError, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.scene.region import Region
    from maquette.scene.region_file import Source
    from maquette.scene.workspace import Workspace

_SPHERE_FORM = "x,y,z,r"
_BOX_FORM = "xmin,xmax,ymin,ymax,zmin,zmax"


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    group = typer.Typer(
        help="See and set the region of interest: sphere and box, world units.",
        no_args_is_help=True,
    )
    for command in (show, auto, set_numbers, fit):
        group.command(command.__name__.partition("_")[0])(command)
    app.add_typer(group, name="region")


def show(
    settings: SettingWords = None,
    as_json: AsJson = False,
    picture: Annotated[
        Path | None, typer.Option(help="also draw three views into this PNG file")
    ] = None,
) -> None:
    """Print the region, what it holds, and what must run again because of it."""
    from maquette.viewer.picture import draw

    chosen, opened = _open(settings)
    drawn = draw(opened.scene, picture) if picture else ""
    _tell(chosen, opened, opened.region, as_json, remark=drawn)


def auto(
    settings: SettingWords = None,
    as_json: AsJson = False,
    rule: Annotated[
        Literal["auto", "view", "upstream"],
        typer.Option(
            help="auto: as prepare does; view: circled objects as tightly as others; "
            "upstream: Neuralangelo's two rules"
        ),
    ] = "auto",
) -> None:
    """Let cameras and points decide (SCENE_TYPE=object, indoor or outdoor)."""
    from maquette.scene import georeference, region_search

    chosen, opened = _open(settings)
    up = georeference.read(opened.scene.georeference).up
    found = region_search.by_rule(rule, chosen.options["scene_type"], opened.model, up)
    _save(chosen, opened, found.region, as_json, source="auto", remark=found.remark)


def set_numbers(
    settings: SettingWords = None,
    as_json: AsJson = False,
    sphere: Annotated[
        str, typer.Option(metavar=_SPHERE_FORM, help="centre and radius; alone, the box fits it")
    ] = "",
    box: Annotated[
        str, typer.Option(metavar=_BOX_FORM, help="limits; alone, the sphere stays")
    ] = "",
) -> None:
    """Set sphere and box by numbers, world units."""
    from maquette.scene.region import Region

    if not sphere and not box:
        raise UsageError(
            "nothing to set", hint=f"give --sphere {_SPHERE_FORM} or --box {_BOX_FORM}"
        )
    chosen, opened = _open(settings)
    *center, radius = (
        _numbers(sphere, "--sphere", _SPHERE_FORM)
        if sphere
        else (*opened.region.center, opened.region.radius)
    )
    limits = _numbers(box, "--box", _BOX_FORM) if box else None
    pairs = [limits[axis : axis + 2] for axis in (0, 2, 4)] if limits else None
    _save(chosen, opened, Region.around(center, radius, pairs), as_json)


def fit(
    settings: SettingWords = None,
    as_json: AsJson = False,
    points_inside: Annotated[
        float, typer.Option(help="share of all points to hold; those farthest off stay out")
    ] = 0.98,
    cameras: Annotated[bool, typer.Option("--cameras", help="fit the cameras instead")] = False,
) -> None:
    """Fit sphere and box around the points, or the sphere through the cameras."""
    from maquette.scene import region_fits

    if not 0 < points_inside <= 1:
        raise UsageError(
            f"--points-inside is a share above 0 and at most 1, not {points_inside:g}",
            hint="--points-inside 0.98 leaves out the 2 % farthest off",
        )
    chosen, opened = _open(settings)
    model = opened.model
    fitted = (
        region_fits.around_cameras(model.centers, model.axes)
        if cameras
        else region_fits.around_points(model.points, points_inside)
    )
    _save(chosen, opened, fitted, as_json)


def _open(words: list[str] | None) -> tuple[Settings, Workspace]:
    chosen = load_settings(words)
    return chosen, open_scene(chosen)


def _save(
    settings: Settings,
    opened: Workspace,
    region: Region,
    as_json: bool,
    source: Source = "user",
    remark: str = "",
) -> None:
    from maquette.viewer.picture import redraw

    opened.save(region, source)
    remarks = [text for text in (remark, redraw(opened.scene)) if text]
    _tell(settings, opened, region, as_json, remark="\n".join(remarks))


def _tell(
    settings: Settings, opened: Workspace, region: Region, as_json: bool, remark: str = ""
) -> None:
    from maquette.scene.stale_runs import rerun_advice
    from maquette.ui.tables import print_rows

    facts = _facts(opened, region)
    again = rerun_advice(opened.scene, region)
    remarks = [*opened.remarks, *([remark] if remark else [])]
    if as_json:
        print(json.dumps({**facts, "remarks": remarks, "run_again": again}))
        return
    print_rows(("region", "value"), [(key.replace("_", " "), _say(facts[key])) for key in facts])
    for sentence in (*remarks, *again):
        print(sentence)
    if (picture := settings.scene_dir / "stages" / "region.png").is_file():
        print(f"{'picture':<22} {shown_path(picture)}")


def _facts(opened: Workspace, region: Region) -> dict[str, Any]:
    from maquette.scene import region_file, transforms
    from maquette.scene.region_views import Views

    path = opened.scene.transforms
    document = transforms.read_document(path) if path.exists() else {}
    inside, views = int(region.contains(opened.model.points).sum()), Views.of(opened.model)
    return {
        "scene": opened.scene.name,
        "set_by": document.get(region_file.SOURCE_KEY, "auto") if document else "not saved yet",
        "center": list(region.center),
        "radius": region.radius,
        "box": [list(limits) for limits in region.box],
        "points_inside": inside,
        "points_outside": len(opened.model.points) - inside,
        "middle_of_pictures": views.share(region.contains(views.points)),
        "cameras": len(opened.model.names),
        "digest": region.digest,
    }


def _say(value: Any) -> str:
    from maquette.ui import text

    if isinstance(value, list) and value and isinstance(value[0], list):
        return "   ".join(f"{low:.6g} .. {high:.6g}" for low, high in value)
    if isinstance(value, list):
        return ", ".join(f"{number:.6g}" for number in value)
    return value if isinstance(value, str) else text.number(value)


def _numbers(words: str, option: str, form: str) -> list[float]:
    try:
        values = [float(word) for word in words.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} is not a list of numbers: `{words}`", hint=form) from error
    if len(values) != form.count(",") + 1:
        raise UsageError(f"{option} has {len(values)} numbers: `{words}`", hint=f"form: {form}")
    return values
