"""Pictures made small and written into the page, which has a limit."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

from maquette.recon.report_page.markup import Html, element

_QUALITIES = (82, 60)  # of a JPEG; the second where the first no longer fits
_MOST_PIXELS = 1 << 28  # of a picture that is opened at all


class Album:
    """Embeds pictures as long as there is room.

    Args:
        room: Bytes of the page that all pictures may take together.

    Attributes:
        missing: A sentence for each picture that is not shown.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self.missing: list[str] = []

    def picture(self, path: Path, name: str, words: str, width: int, part: float = 1.0) -> Html:
        """An `img` at most `width` pixels wide and high; "" when it can not be shown.

        Args:
            name: What a person calls the file.
            words: What one sees, for who sees no pictures.
            part: The share of the room that is left which it may take.
        """
        try:
            with Image.open(path) as opened:
                if opened.width * opened.height > _MOST_PIXELS:
                    raise ValueError(f"{opened.width} × {opened.height} pixels are too many")
                opened.draft("RGB", (width, width))
                small = _on_white(ImageOps.exif_transpose(opened))
            small.thumbnail((width, width), Image.Resampling.LANCZOS)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            self.missing.append(f"`{name}` can not be shown: {_reason(error)}")
            return Html("")
        return self.image(small, name, words, part)

    def image(self, image: Image.Image, name: str, words: str, part: float = 1.0) -> Html:
        """The same of a picture in memory, as it is."""
        source = self.source(image, name, part)
        size = {"width": str(image.width), "height": str(image.height)}
        return element("img", src=source, alt=words, **size) if source else Html("")

    def source(self, image: Image.Image, name: str, part: float = 1.0) -> str:
        """The data URI of a picture; "" when there is no room for it."""
        for quality in _QUALITIES:
            content = io.BytesIO()
            image.save(content, "JPEG", quality=quality, subsampling=0)
            coded = base64.b64encode(content.getvalue()).decode()
            if len(coded) <= part * self._room:
                self._room -= len(coded)
                return f"data:image/jpeg;base64,{coded}"
        self.missing.append(f"`{name}` is left out: the page would become too large")
        return ""


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """What is wrong, without the folders of this machine."""
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, OSError):
        return "it is damaged, or no picture"
    return str(error)
