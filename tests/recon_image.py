"""Our CPU image as the present sources make it, built when the first test asks for it."""

from __future__ import annotations

import os
from functools import cache

import pytest

from backends import missing_engine
from maquette.config.settings import Settings
from maquette.containers import building
from maquette.containers.engines import find_engine


@cache
def recon_image() -> str:
    """The image for jobs in containers; skips where there is no engine.

    It is built each time, which after a change of the code is its last layers, and called by its
    id: whoever builds another one meanwhile does not get into the tests. MAQUETTE_TEST_IMAGE
    names one that is there already.
    """
    if reason := missing_engine():
        pytest.skip(reason)
    if there := os.environ.get("MAQUETTE_TEST_IMAGE"):
        return there
    return building.build(cpu_recipe(), find_engine(), print)


def cpu_recipe() -> building.Recipe:
    """How `make images VARIANT=cpu` builds it."""
    return building.recipes(Settings(variant="cpu"))[0]
