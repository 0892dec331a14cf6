"""The scans of DTU that train, validate and test.

Source: Ji et al., SurfaceNet, ICCV 2017, which chose them; Yao et al., MVSNet, ECCV 2018.
"""

from __future__ import annotations

VALIDATION = (3, 5, 17, 21, 28, 35, 37, 38, 40, 43, 56, 59, 66, 67, 82, 86, 106, 117)
TEST = (
    1, 4, 9, 10, 11, 12, 13, 15, 23, 24, 29, 32, 33, 34, 48, 49, 62, 75, 77, 110, 114, 118,
)  # fmt: skip
_NOT_USED = (25, 26, 27, 54, 73, 78, 79, 80, 81)
TRAINING = tuple(
    number for number in range(1, 129) if number not in (*VALIDATION, *TEST, *_NOT_USED)
)
LISTS = {"training": TRAINING, "validation": VALIDATION, "test": TEST}
