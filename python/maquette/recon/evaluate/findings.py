"""What an evaluation found, and why the rest is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maquette.recon.evaluate.protocols import NotMeasured

SURFACE = (
    "chamfer_relative", "accuracy_relative", "completeness_relative", "f_score",
    "f_score_fine", "normal_consistency",
)  # fmt: skip
VIEWS = ("psnr_db", "ssim")
KEYS = ("registered_ratio", "camera_error_relative", *SURFACE, *VIEWS)


class Findings:
    """One value for each of KEYS, or a sentence that says why there is none.

    Attributes:
        values: By key; None for what was not measured.
        reasons: A sentence for each value that is None.
        details: Whatever else was found.
    """

    def __init__(self) -> None:
        self.values: dict[str, float | None] = dict.fromkeys(KEYS)
        self.reasons: dict[str, str] = {}
        self.details: dict[str, Any] = {}

    def note(self, **values: Any) -> None:
        """Take values, rounded to six digits."""
        self.values |= {key: rounded(value) for key, value in values.items()}

    def lacks(self, reason: str, *keys: str) -> None:
        """Say why some values are not there; values and earlier reasons stay."""
        for key in keys:
            if self.values[key] is None:
                self.reasons.setdefault(key, reason)

    @contextmanager
    def measuring(self, *keys: str) -> Iterator[None]:
        """Measure in a block; when it raises NotMeasured, the values lack for that reason."""
        try:
            yield
        except NotMeasured as reason:
            self.lacks(str(reason), *keys)

    def document(self) -> dict[str, Any]:
        """What `evaluation.json` holds."""
        return {**self.values, "reasons": self.reasons, "details": self.details}


def rounded(value: Any) -> float:
    """A number with six digits."""
    return float(f"{float(value):.6g}")
