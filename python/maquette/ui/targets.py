"""What to type where there is no Makefile: every make target is one call of `maquette`."""

from __future__ import annotations

import re

from maquette.resources import IS_CHECKOUT

_STEPS = ("prepare", "process", "extract")
_TWO_WORDS = {
    "push-data": "data push", "data-push": "data push", "pull-data": "data pull",
    "clear-data": "data clear", "images": "images build", "push-images": "images push",
    "check-image": "images check", "region": "region show", "login-check": "ovh login-check",
}  # fmt: skip
_TARGET = re.compile(r"(?<=`)make ([a-z][a-z-]*)")


def command_of(target: str) -> str:
    """The words after `maquette` that do what a make target does."""
    if target in _STEPS:
        return f"run {target}"
    if target.startswith("plan-"):
        return f"plan {target.removeprefix('plan-')}"
    step, _, question = target.partition("-")
    if step in _STEPS:
        return f"{question} {step}"
    return _TWO_WORDS.get(target, target)


def as_typed(text: str) -> str:
    """A sentence with the commands in it as they are typed here; make's in a checkout."""
    if IS_CHECKOUT:
        return text
    return _TARGET.sub(lambda found: f"maquette {command_of(found[1])}", text)
