"""Redact the one secret that a job's description may hold."""

from __future__ import annotations

from typing import Any

from maquette.storage.handover import REDACTED, VARIABLE


def placeholder() -> dict[str, str]:
    """The variable as requests show it."""
    return {"name": VARIABLE, "value": REDACTED}


def redact(response: Any) -> Any:
    """A response of the service without the secret."""
    if isinstance(response, list):
        return [redact(item) for item in response]
    if not isinstance(response, dict):
        return response
    if response.get("name") == VARIABLE and "value" in response:
        return {**response, "value": REDACTED}
    return {key: redact(item) for key, item in response.items()}
