"""Fetching the input from a web address."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import Any

from maquette.errors import BadInput, JobFailed
from maquette.scene.events import Progress

MAX_BYTES = 200 << 30
_SHARE_OF_DISK = 0.8
_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 60
_ATTEMPTS = 4


def fetch(url: str, folder: Path, progress: Progress) -> Path:
    """Download `url` into `folder`; a broken connection is taken up where it broke.

    Returns:
        The file, complete by the length the server declared, named as the address names it.

    Raises:
        BadInput: not http(s), refused by the server, or too large.
        JobFailed: the connection broke again and again.
    """
    if urllib.parse.urlsplit(url).scheme.lower() not in ("http", "https"):
        raise BadInput(
            f"only http and https addresses can be fetched, not `{without_secrets(url)}`",
            hint="download it yourself and set INPUT= to the file",
        )
    target = folder / file_name(url)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch_rest(url, target, progress)
            return target
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _ATTEMPTS:
                raise _refused(url, f"the server answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
            if attempt == _ATTEMPTS:
                raise JobFailed(
                    f"the download broke {attempt} times: `{without_secrets(url)}`: {error}",
                    hint="check the address and the network, then run the same command again",
                ) from error
            progress.warn(f"the download broke ({error}); going on, attempt {attempt + 1}")
    raise AssertionError("unreachable")


def file_name(url: str) -> str:
    """The last part of the address's path, safe as a file name."""
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    return name.lstrip(".") or "download"


def without_secrets(url: str) -> str:
    """The address without password and query, which may hold a signature."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise _refused(newurl, "the server redirects away from http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch_rest(url: str, target: Path, progress: Progress) -> None:
    present = target.stat().st_size if target.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "maquette"})
    if present:
        request.add_header("Range", f"bytes={present}-")
    with urllib.request.build_opener(_HttpOnly).open(request, timeout=_TIMEOUT_S) as answer:
        if answer.status != 206:
            present = 0
        length = answer.headers.get("Content-Length")
        total = present + int(length) if length else 0
        limit = _check_size(url, target, total - present)
        with open(target, "ab" if present else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                present += len(chunk)
                if present > limit:
                    raise _refused(url, f"it is larger than {limit} bytes")
                file.write(chunk)
                progress.step("download", present, max(total, present + 1))
    if total and present != total:
        raise HTTPException(f"{present} of {total} bytes came")
    progress.step("download", present, present)


def _check_size(url: str, target: Path, missing: int) -> int:
    free = int(_SHARE_OF_DISK * shutil.disk_usage(target.parent).free)
    if missing > min(MAX_BYTES, free):
        raise _refused(url, f"it has {missing} bytes more, and {free} may be used here")
    return min(MAX_BYTES, free)


def _refused(url: str, why: str) -> BadInput:
    return BadInput(
        f"can not fetch `{without_secrets(url)}`: {why}",
        hint="check the address in a browser, or download it and set INPUT= to the file",
    )
