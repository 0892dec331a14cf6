"""The webhook of NOTIFY_URL: Slack's, or any address that takes JSON."""

from __future__ import annotations

import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from maquette.errors import ConfigError
from maquette.storage.proxies import opener_for

_LIMIT_S = 10
_PAUSES_S = (0.0, 0.0, 2.0)  # before each try


class Webhook:
    """Sends messages one after another from a thread of its own; never stops the work.

    Args:
        url: A secret, as webhooks are; empty sends nothing.
        facts: What every message carries besides its text: job, model, step.
        say: Tells the person that messages do not arrive, without the address.
    """

    def __init__(self, url: str, facts: dict[str, Any], say: Callable[[str], None]) -> None:
        self._url = url
        self._facts = facts
        self._say = say
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._send_all, daemon=True)
        if url:
            self._thread.start()

    def send(self, event: str, text: str, **facts: Any) -> None:
        """Queue a message.

        Args:
            event: start, stage, failed, kept, stopped, done or published.
            text: The sentence; with a picture, all that Slack shows.
            facts: More for programs; `picture` is the address of one.
        """
        if self._url:
            pictures = {"attachments": _attachments(facts)} if facts.get("picture") else {}
            self._waiting.put({"text": text, "event": event, **self._facts, **facts, **pictures})

    def close(self, limit_s: float = 20.0) -> None:
        """Send what waits, for a limited time."""
        if self._url:
            self._waiting.put(None)
            self._thread.join(limit_s)

    def _send_all(self) -> None:
        while (message := self._waiting.get()) is not None:
            failure = self._try(message)
            if failure:
                self._say(f"NOTIFY_URL did not take a message: {failure}")

    def _try(self, message: dict[str, Any]) -> str:
        failure = ""
        for pause_s in _PAUSES_S:
            threading.Event().wait(pause_s)
            try:
                request = urllib.request.Request(
                    self._url,
                    data=json.dumps(message).encode(),
                    headers={"content-type": "application/json", "user-agent": "maquette"},
                )
                opener_for(self._url).open(request, timeout=_LIMIT_S).close()
                return ""
            except urllib.error.HTTPError as error:
                failure = f"HTTP {error.code}"
            except (OSError, ValueError) as error:
                failure = type(error).__name__
            except ConfigError as error:
                failure = error.what
        return failure


def _attachments(facts: dict[str, Any]) -> list[dict[str, str]]:
    """The picture in Slack's form."""
    return [{"fallback": "picture of the result", "image_url": str(facts["picture"])}]
