"""Our CPU image as the present sources make it, built once and found again by what is in it.

`python tests/recon_image.py` builds it where it is not there: no test's time limit has to hold a
whole build.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

from backends import missing_daemon
from maquette.config.settings import Settings
from maquette.containers import building
from maquette.containers.build_context import pack
from maquette.containers.daemon import connected, find_daemon

NAME_OF_BUILD = building.recipes(Settings(backend="docker", variant="cpu"))[0].reference


@cache
def recon_image() -> str:
    """The id of the image for jobs in containers.

    Its name ends with a hash of all that goes into it, the commit too, which is a label: built once
    more it is the same, and no test takes the name from under another.
    """
    recipe = cpu_recipe()
    with connected(find_daemon()) as client:
        if client.images.list(recipe.reference):
            return str(client.images.get(recipe.reference).id)
    return building.build(recipe, find_daemon(), print)


@cache
def cpu_recipe() -> building.Recipe:
    """How `make images VARIANT=cpu` builds it, but for its name."""
    recipe = building.recipes(Settings(backend="docker", variant="cpu"))[0]
    with pack(recipe.name, recipe.wheels, recipe.extra_ca) as context:
        content = hashlib.file_digest(context, "sha256")
    content.update(building.revision().encode())
    return replace(recipe, version=f"of-{content.hexdigest()[:16]}")


if __name__ == "__main__":
    print(missing_daemon() or f"the image for the tests: {recon_image()}")
