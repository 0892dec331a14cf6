"""httpx without its own command line, which every start of ours would load rich and click for."""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]

import httpx

__all__ = ["httpx"]
