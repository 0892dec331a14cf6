"""The `ovhai job run …` line that does the same as a request; pure."""

from __future__ import annotations

import shlex
from typing import Any

from maquette.runners.ovh.volumes import to_text


def command_line(body: dict[str, Any]) -> str:
    """Write the line for people who use the `ovhai` program."""
    words = ["ovhai", "job", "run"]
    resources = body.get("resources", {})
    for flag, value in (
        ("--name", body.get("name")),
        ("--flavor", resources.get("flavor")),
        ("--gpu", resources.get("gpu")),
        ("--cpu", None if resources.get("gpu") else resources.get("cpu")),
        ("--timeout", f"{body['timeout']}s" if body.get("timeout") else None),
        ("--default-http-port", body.get("defaultHttpPort")),
    ):
        if value:
            words += [flag, str(value)]
    if body.get("unsecureHttp"):
        words.append("--unsecure-http")
    for item in body.get("envVars", ()):
        words += ["--env", f"{item['name']}={item['value']}"]
    for name, text in body.get("labels", {}).items():
        words += ["--label", f"{name}={text}"]
    for volume in body.get("volumes", ()):
        words += ["--volume", to_text(volume)]
    words += ["--output", "json", str(body["image"])]
    if body.get("command"):
        words += ["--", *body["command"]]
    return shlex.join(words)
