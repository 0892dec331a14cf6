"""What a browser window shows: its camera, and a picture of it to keep."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import viser
from PIL import Image

from maquette.viewer.display import Display
from maquette.viewer.editing import View


def view_of(camera: Any, display: Display) -> View:
    """A window's camera in world units."""
    w, x, y, z = camera.wxyz
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return View(display.world(camera.position), rotation, camera.fov, camera.aspect)


def add_screenshot_button(server: viser.ViserServer, name: str) -> None:
    """Add a button that downloads the 3D view as a PNG, without the panel beside it."""
    button = server.gui.add_button("Screenshot", hint="download this view as a PNG")

    def take(event: Any) -> None:
        client = event.client
        height, width = client.camera.image_height, client.camera.image_width
        pixels = client.get_render(height=height, width=width)
        packed = io.BytesIO()
        Image.fromarray(np.asarray(pixels)[..., :3]).save(packed, format="PNG")
        client.send_file_download(f"{name}.png", packed.getvalue(), save_immediately=True)

    button.on_click(take)
