"""What `make publish` may be told beside the settings that all commands know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr

from maquette.errors import ConfigError
from maquette.pipelines.options import option

_LONGEST = timedelta(days=7)  # of a presigned address, by the rules of S3
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class PublishOptions:
    """Options of `publish` that steps of some pipelines know too."""

    size_limit: str = option("", "the most that a published file may take, e.g. 20MB; empty: any")
    notify_url: SecretStr = option(
        SecretStr(""), "webhook (Slack's or any) told of the link, with a picture"
    )
    content_license: str = option("", "of the content, e.g. CC-BY-4.0, for manifest.json")


def lifetime(text: str) -> timedelta:
    """Read how long a private link lives.

    Raises:
        ConfigError: that is no time, or more than stores allow.
    """
    span = timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    if not timedelta() < span <= _LONGEST:
        raise ConfigError(
            f"a private link lives a minute to 7 days: EXPIRES={text}",
            hint="EXPIRES=7d, and publish again before it ends; PUBLIC=1 has no end",
        )
    return span
