"""Where a key pair comes from: an AWS profile, the environment or `.env`; we keep none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from maquette.config.loading import dotenv_of
from maquette.errors import CredentialsError
from maquette.storage.signing import Credentials

_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_EXPIRES = "AWS_CREDENTIAL_EXPIRATION"
_ELSEWHERE = ("iam-role", "container-role")


def find(profile: str = "", folder: Path | None = None) -> Credentials:
    """Find the key pair of a data store.

    Args:
        profile: A named profile of the AWS files; it alone counts then.
        folder: Where `.env` lies (default: the working folder).

    Raises:
        CredentialsError: there is none, half of one, or what is there can be none.
    """
    if not profile:
        for source, values in (
            ("environment", os.environ),
            (".env", dotenv_of(folder or Path.cwd())),
        ):
            pair = _from(values, source)
            if pair:
                return pair
    found = _from_profile(profile)
    if found is None:
        raise CredentialsError(
            "no access key was found",
            detail=f"looked at: {f'profile {profile}' if profile else 'environment, .env, ~/.aws'}",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment or in .env",
        )
    return found


def _from(values: Mapping[str, str], source: str) -> Credentials | None:
    access, secret, token = (_plain(values.get(name, ""), f"{name} ({source})") for name in _NAMES)
    if not access and not secret:
        return None
    if not access or not secret:
        raise CredentialsError(
            f"half of a key pair: {_NAMES[bool(access)]} is missing ({source})",
            hint="set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    return Credentials(access, secret, token, _moment(values.get(_EXPIRES, "")))


def _plain(text: str, where: str) -> str:
    """A key as it can be sent: what was copied with it at its ends does not count.

    Raises:
        CredentialsError: something in the middle of it can be no part of a key.
    """
    text = text.strip()
    odd = next((character for character in text if not "!" <= character <= "~"), "")
    if not odd:
        return text
    named = {" ": "a blank", "\n": "a line end", "\r": "a line end", "\t": "a tab"}
    raise CredentialsError(
        f"{where} is not a key: it holds {named.get(odd, f'the character `{odd}`')}",
        hint="copy it again, whole and alone; dots and blanks are often those of a shortened view",
    )


def _from_profile(profile: str) -> Credentials | None:
    """Ask the AWS library for a profile's keys; never a cloud machine's metadata address."""
    import botocore.session
    from botocore.credentials import create_credential_resolver
    from botocore.exceptions import BotoCoreError

    session = botocore.session.Session(profile=profile or None)
    name = f"profile {profile or 'default'}"
    try:
        resolver = create_credential_resolver(session)
        for elsewhere in _ELSEWHERE:
            resolver.remove(elsewhere)
        found = resolver.load_credentials()
        keys = found.get_frozen_credentials() if found else None
    except (BotoCoreError, OSError, ValueError) as error:  # its files, or a program that it calls
        raise _unusable(profile, error) from None
    if keys is None:
        return None
    access, secret, token = (
        _plain(text or "", f"{word} ({name})")
        for word, text in zip(_NAMES, (keys.access_key, keys.secret_key, keys.token), strict=True)
    )
    return Credentials(access, secret, token, getattr(found, "_expiry_time", None))


def _unusable(profile: str, error: Exception) -> CredentialsError:
    kind = type(error).__name__
    hint = "`aws configure list-profiles` shows the profiles there are"
    if "SSO" in kind or "Token" in kind or "Login" in kind:
        hint = f"log in again: `aws sso login{f' --profile {profile}' if profile else ''}`"
    elif kind in ("CredentialRetrievalError", "FileNotFoundError", "JSONDecodeError"):
        hint = "call the profile's `credential_process` by hand: it must print keys as JSON"
    lines = str(error).strip().splitlines() or [""]
    return CredentialsError(
        f"the AWS profile can not be used: `{profile or 'default'}`",
        detail=f"{kind}: {lines[-1][:200]}",
        hint=hint,
    )


def _moment(date: str) -> datetime | None:
    """A date of ISO 8601, with its time zone; None for none."""
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
