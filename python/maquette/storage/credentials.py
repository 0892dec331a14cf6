"""Where a key pair comes from: an AWS profile, the environment or `.env`; we keep none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from maquette.config.loading import dotenv_of
from maquette.errors import CredentialsError
from maquette.storage.signing import Credentials

_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_ELSEWHERE = ("iam-role", "container-role")


def find(profile: str = "", folder: Path | None = None) -> Credentials:
    """Find the key pair of a data store.

    Args:
        profile: A named profile of the AWS files; it alone counts then.
        folder: Where `.env` lies (default: the working folder).

    Raises:
        CredentialsError: there is none, or half of one.
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
    access, secret, token = (values.get(name, "") for name in _NAMES)
    if not access and not secret:
        return None
    if not access or not secret:
        raise CredentialsError(
            f"half of a key pair: {_NAMES[bool(access)]} is missing ({source})",
            hint="set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    return Credentials(access, secret, token)


def _from_profile(profile: str) -> Credentials | None:
    """Ask the AWS library for a profile's keys; never a cloud machine's metadata address."""
    import botocore.session
    from botocore.credentials import create_credential_resolver
    from botocore.exceptions import BotoCoreError

    session = botocore.session.Session(profile=profile or None)
    try:
        resolver = create_credential_resolver(session)
        for name in _ELSEWHERE:
            resolver.remove(name)
        found = resolver.load_credentials()
        keys = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        raise CredentialsError(
            f"the AWS profile can not be used: `{profile or 'default'}`",
            detail=type(error).__name__,
            hint="`aws configure list-profiles` shows the profiles there are",
        ) from None
    if keys is None:
        return None
    return Credentials(keys.access_key, keys.secret_key, keys.token or "")
