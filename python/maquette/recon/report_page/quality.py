"""What `make evaluate` found, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SHARE: Callable[[float], str] = "{:.2%}".format
_RADII: Callable[[float], str] = "{:.3%} of the radius".format
# By the measure's key: its name, how its value is written, what it says.
_MEASURES: dict[str, tuple[str, Callable[[float], str], str]] = {
    "registered_ratio": ("photos with a pose", _SHARE, "more is better"),
    "camera_error_relative": (
        "cameras off", "{:.3%} of the orbit's radius".format, "mean distance from the true ones",
    ),
    "chamfer_relative": ("Chamfer distance", _RADII, "mean of the next two; less is better"),
    "accuracy_relative": ("accuracy", _RADII, "from the result to the truth"),
    "completeness_relative": ("completeness", _RADII, "from the truth to the result"),
    "f_score": ("F-score at 1 %", "{:.3f}".format, "1: all within 1 % of the radius"),
    "f_score_fine": ("F-score at 0.25 %", "{:.3f}".format, "1: all within 0.25 % of the radius"),
    "normal_consistency": ("normals", "{:.3f}".format, "1: all point as the truth's"),
    "psnr_db": ("held-out photos", "{:.2f} dB".format, "PSNR of views drawn; more is better"),
    "ssim": ("the same, SSIM", "{:.3f}".format, "1: the views are alike"),
}  # fmt: skip


def measures(evaluation: dict[str, Any]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Rows of measure, value and meaning, and a sentence for each reason why others lack."""
    rows = [
        (name, written(float(evaluation[key])), meaning)
        for key, (name, written, meaning) in _MEASURES.items()
        if isinstance(evaluation.get(key), int | float)
    ]
    reasons = evaluation.get("reasons")
    lacking: dict[str, list[str]] = {}
    for key, reason in reasons.items() if isinstance(reasons, dict) else ():
        name = _MEASURES[key][0] if key in _MEASURES else key
        lacking.setdefault(str(reason), []).append(name)
    return rows, [f"{', '.join(names)}: {reason}" for reason, names in lacking.items()]
