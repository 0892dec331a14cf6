"""The one secret that a job's description may hold is shown nowhere."""

from __future__ import annotations

from typing import Any

from maquette.storage.handover import VARIABLE

REDACTED = "(a secret, made when the job is posted and shown nowhere)"


def placeholder() -> dict[str, str]:
    """The variable as requests show it."""
    return {"name": VARIABLE, "value": REDACTED}


def redact(answer: Any) -> Any:
    """An answer of the service without the secret."""
    if isinstance(answer, list):
        return [redact(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    if answer.get("name") == VARIABLE and "value" in answer:
        return {**answer, "value": REDACTED}
    return {key: redact(item) for key, item in answer.items()}
