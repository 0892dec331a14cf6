"""Build and push our images through the Docker SDK, with progress as events."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.config.settings import Settings
from maquette.containers.build_context import pack
from maquette.containers.daemon import Daemon, connected
from maquette.containers.options import BuildOptions, ImageOptions
from maquette.containers.variants import choose, find_variant, image_reference
from maquette.errors import CredentialsError, JobFailed
from maquette.resources import IS_CHECKOUT, ROOT, version

IMAGE_NAMES = ("recon",)
_PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_UNKNOWN_PERSON = ("denied", "unauthorized", "authentication", "no basic auth")
_LIMIT_S = 1800
_TAIL = 25

Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a build gives.

    Attributes:
        name: Of a folder below images/.
        variant: See `images/gpus.yaml`.
        wheels: Folder of wheels to take before any index.
        extra_ca: PEM file of authorities to trust while building.
    """

    name: str
    variant: str
    version: str
    base_image: str
    registry: str = ""
    wheels: Path | None = None
    extra_ca: Path | None = None

    @property
    def reference(self) -> str:
        """The image's whole name."""
        return image_reference(self.version, self.variant, self.registry, self.name)

    def build_arguments(self) -> dict[str, str]:
        """The arguments of the Dockerfile; pip's and proxies' settings of this machine among it."""
        found = {name: os.environ.get(name, "") for name in _PASSED_ON}
        found |= {name: os.environ.get(name.lower(), found[name]) for name in _PASSED_ON}
        usable = {name: text for name, text in found.items() if text and "file:" not in text}
        variant = find_variant(self.variant)
        return {
            **usable,
            "BASE_IMAGE": self.base_image,
            "VARIANT": variant.name,
            "TORCH_INDEX": variant.torch_index,
            "CAPABILITIES": " ".join(variant.capabilities),
            "VERSION": self.version,
            "REVISION": revision(),
        }


def recipes(settings: Settings) -> list[Recipe]:
    """Our images as these settings want them; pip's own settings fill in what is not given."""
    asked, build = settings.of(ImageOptions), settings.of(BuildOptions)
    variant = choose(asked.flavor, settings.gpu) if asked.variant == "auto" else asked.variant
    wheels = build.wheels or os.environ.get("PIP_FIND_LINKS", "")
    authorities = build.extra_ca or os.environ.get("PIP_CERT", "")
    return [
        Recipe(
            name=name,
            variant=variant,
            version=version(),
            base_image=build.base_image,
            registry=asked.registry,
            wheels=Path(wheels) if build.wheels or Path(wheels or "-").is_dir() else None,
            extra_ca=Path(authorities) if authorities else None,
        )
        for name in IMAGE_NAMES
    ]


def build(recipe: Recipe, daemon: Daemon, say: Say) -> str:
    """Build an image and tag it by version and variant.

    Args:
        say: Takes a line of progress.

    Returns:
        The image's id.

    Raises:
        JobFailed: a line of the Dockerfile failed; carries the end of what it printed.
    """
    with (
        connected(daemon, timeout_s=_LIMIT_S) as client,
        pack(recipe.name, recipe.wheels, recipe.extra_ca) as context,
    ):
        answers = client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=f"images/{recipe.name}/Dockerfile",
            tag=recipe.reference,
            buildargs=recipe.build_arguments(),
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow_build(answers, recipe, say)
        return str(client.images.get(recipe.reference).id)


def push(reference: str, daemon: Daemon, say: Say) -> None:
    """Push an image to the registry that its name says.

    Raises:
        CredentialsError: the registry does not know this person.
        JobFailed: it refuses, or there is no such image.
    """
    with connected(daemon, timeout_s=_LIMIT_S) as client:
        _tag_for_registry(client, reference)
        seen: set[tuple[str, str]] = set()
        for answer in client.api.push(reference, stream=True, decode=True):
            if "error" in answer:
                raise _refused(reference, str(answer["error"]))
            state = (str(answer.get("id", "")), str(answer.get("status", "")))
            if state not in seen and not state[1].startswith("Pushing"):
                seen.add(state)
                say(" ".join(part for part in state if part))


def revision() -> str:
    """The commit of the sources, `-dirty` when files differ from it; empty outside of git."""
    if not IS_CHECKOUT:
        return ""  # the git repository around it would be somebody else's
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip()


def _follow_build(answers: Iterable[dict[str, Any]], recipe: Recipe, say: Say) -> None:
    tail: list[str] = []
    step = "before its first line"
    for answer in answers:
        for line in str(answer.get("stream", "")).splitlines():
            if match := _STEP.match(line):
                step = match[3]
                say(f"{match[1]}/{match[2]}  {step}")
            tail = [*tail, line][-_TAIL:]
        if "error" in answer:
            raise JobFailed(
                f"building {recipe.reference} failed at: {step}",
                detail="\n".join([*(line for line in tail if line.strip()), answer["error"]]),
                hint="behind a proxy with its own authority: EXTRA_CA=; without a package index: "
                "WHEELS=; see docs/containers.md",
            )


def _tag_for_registry(client: Any, reference: str) -> None:
    """Give the image its name in the registry, if it was built without one."""
    here = reference[reference.index("maquette/") :]
    if here != reference:
        client.images.get(here).tag(reference)


def _refused(reference: str, message: str) -> CredentialsError | JobFailed:
    registry = reference.split("/")[0]
    if any(word in message.lower() for word in _UNKNOWN_PERSON):
        return CredentialsError(
            f"the registry refuses {reference}", detail=message, hint=f"`docker login {registry}`"
        )
    return JobFailed(
        f"pushing {reference} failed", detail=message, hint="look at REGISTRY=, then push again"
    )
