"""Files of arrays, `.npy` and `.npz`."""

from __future__ import annotations

import zipfile
import zlib

# What reading one raises that is missing, damaged anywhere, or lacks an array.
NOT_READABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
