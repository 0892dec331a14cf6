"""The three-view picture of a region, drawn by the data plane in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from maquette.scene.paths import Scene


def draw(scene: Scene, target: Path) -> str:
    """Draw points, cameras, sphere and box of the scene into a PNG.

    Returns:
        "" when it is drawn; else why not, in one line: a picture is no reason to fail.
    """
    argv = [sys.executable, "-m", "maquette.recon.pictures"]
    argv += ["--scene", str(scene.root), "--output", str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or "no reason given").splitlines()
    reason = next((line for line in last if line.startswith("error:")), last[-1])
    return f"no picture of the region: {reason.removeprefix('error: ')}"


def redraw(scene: Scene) -> str:
    """Renew `stages/region.png` after the region changed; returns as `draw`."""
    return draw(scene, scene.stages / "region.png")
