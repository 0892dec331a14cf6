"""Colours of film and photos as sRGB: wide gamuts narrowed, high dynamic range tone-mapped."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint16]
Linear = NDArray[np.float32]

_REFERENCE_WHITE_NITS = 203.0  # ITU-R BT.2408, table 1
_HLG_PEAK_NITS, _HLG_GAMMA = 1000.0, 1.2  # of the display that BT.2100 takes as nominal
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_KNEE = 0.85  # of white; brighter light is compressed into what is left


class Transfer(IntEnum):
    """Transfer characteristics by their code points (ITU-T H.273, table 3)."""

    PQ = 16
    HLG = 18


class Primaries(IntEnum):
    """Colour primaries by their code points (ITU-T H.273, table 2)."""

    BT2020 = 9
    DCI_P3 = 11
    DISPLAY_P3 = 12


# Linear RGB of these primaries, white D65, to linear RGB of BT.709 (from the chromaticities of
# ITU-R BT.2020 and SMPTE EG 432-1). DCI's own white is treated as D65, as players do.
_P3 = ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979))
_TO_BT709 = {
    Primaries.BT2020: (
        (1.6605, -0.5876, -0.0728),
        (-0.1246, 1.1329, -0.0083),
        (-0.0182, -0.1006, 1.1187),
    ),
    Primaries.DCI_P3: _P3,
    Primaries.DISPLAY_P3: _P3,
}


def needs_conversion(transfer: int, primaries: int) -> bool:
    """Whether pixels with these code points look wrong when they are taken for sRGB."""
    return transfer in tuple(Transfer) or primaries in _TO_BT709


def to_srgb(pixels: Levels, transfer: int, primaries: int) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of 16 bits, with code points of H.273, as 8-bit sRGB.

    Source: ITU-R BT.2100 (HLG with its display of 1,000 nits, PQ), BT.2408 (white).
    """
    linear = _linear(transfer)[pixels]
    if transfer == Transfer.HLG:
        luminance = (linear @ _BT2020_LUMINANCE)[..., None]
        linear *= luminance ** (_HLG_GAMMA - 1) * (_HLG_PEAK_NITS / _REFERENCE_WHITE_NITS)
    if primaries in _TO_BT709:
        linear = linear @ np.asarray(_TO_BT709[Primaries(primaries)], np.float32).T
    return _encoded(_compressed(linear) if transfer in tuple(Transfer) else linear)


def _linear(transfer: int) -> Linear:
    """Light of each of the 65,536 levels: of the scene for HLG, else 1 is white."""
    signal = np.linspace(0.0, 1.0, 65536)
    if transfer == Transfer.HLG:
        light = _hlg(signal)
    elif transfer == Transfer.PQ:
        light = _pq_nits(signal) / _REFERENCE_WHITE_NITS
    else:
        light = _srgb_light(signal)
    return light.astype(np.float32)


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _pq_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = signal ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _srgb_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def _compressed(light: Linear) -> Linear:
    """Light above the knee approaches white; the hue stays, for all channels shrink alike."""
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    rest = 1 - _KNEE
    bent = _KNEE + rest * (1 - np.exp(-(brightest - _KNEE) / rest))
    return light * np.where(brightest > _KNEE, bent / brightest, 1).astype(np.float32)


def _encoded(light: Linear) -> NDArray[np.uint8]:
    light = light.clip(0, 1)
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (signal * 255).round().astype(np.uint8)
