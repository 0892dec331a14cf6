"""Requests to the service: which are repeated, and what its refusals mean."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

from maquette.addresses import address_parts
from maquette.errors import (
    ConfigError,
    CredentialsError,
    MaquetteError,
    NotFound,
    Unanswered,
)
from maquette.runners.base import ResponseLost
from maquette.runners.ovh import tokens
from maquette.runners.ovh.redaction import redact
from maquette.runners.web import httpx, way_to
from maquette.storage.handover import VARIABLE
from maquette.storage.proxies import is_loopback

TRIES = 6
FIRST_PAUSE_S = 0.2
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
PAGE_SIZE = 500
_SIGNED = re.compile(r"\S*X-Amz-Signature=\S+")


class Unreachable(Unanswered):
    """The service did not answer, or not sensibly; nothing is known about what it did."""


class OverQuota(CredentialsError):
    """402: the project's quota does not allow it."""


class Client:
    """One address and one token.

    Args:
        url: The regional address, e.g. https://gra.ai.cloud.ovh.net.
        token: Never shown, not even in errors.
    """

    def __init__(self, url: str, token: str) -> None:
        check_address(url)
        self.url = url.rstrip("/")
        self._token = token
        self._http = httpx.Client(
            base_url=self.url,
            timeout=TIMEOUT,
            headers={"Authorization": f"Bearer {token}"},
            **way_to(self.url),
        )

    def get(self, path: str, params: Any = None) -> Any:
        """Read JSON; repeated when the service does not answer."""
        return self._json(self._repeated("GET", path, params=params))

    def text(self, path: str, params: Any = None) -> str:
        """Read text; repeated when the service does not answer."""
        response = self._repeated("GET", path, params=params)
        return response.content.decode("utf-8", errors="replace")

    def put(self, path: str, body: Any = None) -> None:
        """Change something to a value; doing it twice is the same as once, so it is repeated."""
        self._repeated("PUT", path, json=body)

    def post_once(self, path: str, body: Any) -> Any:
        """Send something that must not happen twice: never repeated once it may have arrived.

        Raises:
            ResponseLost: it may have taken effect, or not.
            Unreachable: it can not have.
        """
        for left in reversed(range(TRIES)):
            try:
                return self._json(self._once("POST", path, json=body))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if not left:
                    raise self._unreachable(error) from None
                _pause(TRIES - left - 1)
            except Unreachable as error:
                raise ResponseLost(error.what, detail=error.detail) from None
            except httpx.HTTPError as error:
                raise ResponseLost(self._unreachable(error).what) from None
        raise AssertionError("not reached")

    def jobs(self, **params: Any) -> Iterator[dict[str, Any]]:
        """Every job that a query selects, each once, whatever number the first page has.

        A selection by state may be ignored by the service: the caller looks at the states itself.
        """
        seen: set[str] = set()
        query: dict[str, Any] = {"size": PAGE_SIZE, **params}
        while True:
            response = self._page(query)
            items = response if isinstance(response, list) else response.get("items") or []
            fresh = [job for job in items if isinstance(job, dict) and job.get("id") not in seen]
            seen |= {str(job.get("id")) for job in fresh}
            yield from fresh
            about = {} if isinstance(response, list) else response.get("metadata") or {}
            if not fresh or not _has_more(about, len(seen)):
                return
            query["page"] = int(about.get("currentPage") or 0) + 1

    def _page(self, query: dict[str, Any]) -> Any:
        """One page; without size and state where the service does not know these parameters."""
        try:
            return self.get("/v1/job", query)
        except ConfigError:
            for name in ("size", "statusState"):
                query.pop(name, None)
            return self.get("/v1/job", query)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _repeated(self, method: str, path: str, **options: Any) -> httpx.Response:
        for attempt in range(TRIES):
            try:
                return self._once(method, path, **options)
            except Unreachable:
                if attempt == TRIES - 1:
                    raise
            except httpx.HTTPError as error:
                if attempt == TRIES - 1:
                    raise self._unreachable(error) from None
            _pause(attempt)
        raise AssertionError("not reached")

    def _once(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._http.request(method, path, **options)
        if response.is_success:
            return response
        raise self._refused(response, f"{method} {path}")

    def _json(self, response: httpx.Response) -> Any:
        try:
            content = response.json()
            return redact(content) if VARIABLE.encode() in response.content else content
        except ValueError:
            raise Unreachable(
                f"`{self.url}` answered something else than JSON",
                detail=response.text[:200],
                hint="look at OVH_URL and OVH_REGION, and at proxies in between",
            ) from None

    def _refused(self, response: httpx.Response, what: str) -> MaquetteError:
        status, message = response.status_code, self._message(response)
        if status == 401:
            return CredentialsError(
                "OVHcloud refused the token",
                detail=message,
                hint=f"make a new one, set {tokens.VARIABLE}, then `maquette ovh login-check`",
            )
        if status == 402:
            return OverQuota(
                "the project's quota at OVHcloud is used up",
                detail=message,
                hint="`make jobs` shows what runs; OVHcloud's panel, what the quota is",
            )
        if status == 403:
            return CredentialsError(
                "the token may not do this at OVHcloud",
                detail=message,
                hint="it needs the role ai_training_operator; see `maquette ovh login-check`",
            )
        if status == 404:
            return NotFound(
                "OVHcloud knows nothing of this",
                detail=f"{what}: {message}",
                hint="look at OVH_REGION and OVH_URL: each region has jobs of its own",
            )
        if status == 429 or status >= 500:
            return Unreachable(
                f"OVHcloud could not answer just now ({status})",
                detail=message,
                hint="try again in a moment; jobs that run go on",
            )
        return ConfigError(
            f"OVHcloud did not accept the request ({status})",
            detail=message,
            hint="look at FLAVOR (`make flavors`), GPU and IMAGE",
        )

    def _message(self, response: httpx.Response) -> str:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = response.text[:200]
        return _SIGNED.sub("…", str(message).replace(self._token, "…"))

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        return Unreachable(
            f"OVHcloud AI Training can not be reached: `{self.url}`",
            detail=f"{type(error).__name__}: {error}".replace(self._token, "…"),
            hint="look at the network, OVH_REGION and OVH_URL; jobs that run go on",
        )


def check_address(url: str) -> None:
    """Refuse addresses where a token would travel in the open.

    Raises:
        ConfigError: it is no address, or not a protected one.
    """
    parts = address_parts(url, "OVH_URL")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ConfigError(f"`{url}` is not an http(s) address (OVH_URL)")
    if parts.scheme == "http" and not is_loopback(url):
        raise ConfigError(
            f"the token would travel unprotected to `{url}`", hint="use https:// (OVH_URL)"
        )


def _has_more(about: dict[str, Any], seen: int) -> bool:
    if (about.get("links") or {}).get("next"):
        return True
    total = about.get("total")
    return isinstance(total, int) and seen < total


def _pause(attempt: int) -> None:
    threading.Event().wait(FIRST_PAUSE_S * 2**attempt)
