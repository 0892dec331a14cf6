"""Which names scenes, groups, data stores and buckets may have, in words, with a proposal."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_LATIN = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O",
                        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "þ": "th"})  # fmt: skip


def name(text: str) -> str:
    """A name that may be a folder's, a key's and a label's.

    Raises:
        ValueError: it may not; says the rule, and a name that is near and may.
    """
    if _NAME.fullmatch(text) and len(text) <= LONGEST:
        return text
    raise ValueError(
        "a name begins with a letter or a digit and has letters without accents, digits, "
        f"`.`, `_` and `-`, at most {LONGEST}{_proposed(_plain(text, '._-')[:LONGEST], '.-_')}"
    )


def nearest_name(text: str) -> str:
    """The name nearest to any text, for a file's or folder's; a plain word where none is near."""
    return _plain(text, "._-")[:LONGEST].strip(".-_") or "scene"


def bucket(text: str) -> str:
    """A bucket's name as every S3 store takes it; empty for the one of user and model.

    Raises:
        ValueError: it is none; says the rule, and a name that is near and is one.
    """
    if not text:
        return text
    is_odd = re.search(r"\.\.|\.-|-\.", text) or _ADDRESS.fullmatch(text)
    if _BUCKET.fullmatch(text) and not is_odd:
        return text
    near = re.sub(r"[.-]{2,}", "-", _plain(text, ".-").lower())[:63].strip(".-")
    if _ADDRESS.fullmatch(near):
        near = near.replace(".", "-")
    raise ValueError(
        "a bucket's name has 3 to 63 small letters, digits and dashes, and single dots, begins "
        "and ends with a letter or a digit, and is no IP address"
        + _proposed(near if len(near) > 2 else "", ".-")
    )


def listen(text: str) -> str:
    """An address to listen on.

    Raises:
        ValueError: it is none.
    """
    _, _, port = text.strip().rpartition(":")
    if re.fullmatch(r"[0-9]{1,5}", port) and int(port) < 65536:
        return text
    raise ValueError("not `host:port` with a port up to 65535; for example 127.0.0.1:8080")


def _plain(text: str, kept: str) -> str:
    """The nearest text of plain letters, digits and `kept`, with dashes for all between."""
    apart = unicodedata.normalize("NFKD", text.translate(_LATIN))
    letters = "".join(one for one in apart if not unicodedata.combining(one))
    return re.sub(rf"[^A-Za-z0-9{re.escape(kept)}]+", "-", letters)


def _proposed(near: str, ends: str) -> str:
    near = near.strip(ends)
    return f"; for example `{near}`" if near else ""
