"""How many cells along the region suit the photographs."""

from __future__ import annotations

import numpy as np

CELL_PX = 1.5  # pixels' widths along a cell
_CELLS = (64, 1024)  # along the sphere's diameter


def resolution_for(width: float, cell_px: float = CELL_PX) -> tuple[int, str]:
    """The cells along the sphere's diameter that suit the photos, and a remark where they are few.

    Args:
        width: Of a pixel where it meets the region, unit space; 0: none meets it.
        cell_px: Pixels' widths along a cell.
    """
    wanted = int(np.ceil(2.0 / (cell_px * width))) if width else _CELLS[0]
    chosen = int(np.clip(wanted, *_CELLS))
    if wanted <= chosen:
        return chosen, ""
    return chosen, (
        f"RESOLUTION=0 goes up to {chosen:,} cells along the region, the photos would fill "
        f"{wanted:,}: RESOLUTION={wanted} keeps their detail, and takes more memory and time"
    )
