"""Secrets for one job, left in its bucket to be fetched once.

A job's description is readable for everybody who may read the project's jobs, so no key stands in
it. What stands there is a line: an address under which one object can be read for a while, and
a pad. The object is that pad mixed with the secrets (a one-time pad), and the job removes it as
soon as it has them. Who reads the bucket has nothing; who reads the line has, once the job runs,
nothing either.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maquette.errors import CredentialsError, JobFailed, MaquetteError
from maquette.storage.etags import new_md5

if TYPE_CHECKING:
    from maquette.storage.object_store import ObjectStore

VARIABLE = "MAQUETTE_SECRETS"
REDACTED = "(a secret, made when the job is posted and shown nowhere)"
LIFETIME_S = 86_400  # how long a job may wait for its machine
_TRIES = 5
_PAUSE_S = 1.0
_MOST_BYTES = 1 << 16


def leave(bucket: ObjectStore, job_id: str, secrets: Mapping[str, str]) -> str:
    """Put secrets into the bucket; returns the line with which they are fetched, a secret too."""
    plain = json.dumps(dict(secrets)).encode()
    pad = os.urandom(len(plain))
    mixed, digest = _mixed(plain, pad), new_md5()
    digest.update(mixed)
    top = bucket.at(bucket.name, "")
    top.put(key_of(job_id), mixed, digest.digest(), digest.hexdigest(), {})
    return f"{top.address_to_read(key_of(job_id), LIFETIME_S)}#{pad.hex()}"


def fetch(line: str) -> dict[str, str]:
    """Fetch secrets; may be repeated until they are removed.

    Raises:
        CredentialsError: they are gone, or the time for it is over.
        JobFailed: the store does not answer.
    """
    import http.client
    import urllib.error

    address, _, pad = line.partition("#")
    for left in reversed(range(_TRIES)):
        try:
            content = json.loads(_mixed(_read(address), bytes.fromhex(pad)))
            return {str(name): str(text) for name, text in content.items()}
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise _gone(error.code) from None
            failure = str(error.code)
        except ValueError:
            raise _gone(0) from None
        except (OSError, http.client.HTTPException) as error:
            failure = type(error).__name__
        if left:
            time.sleep(_PAUSE_S)
    raise JobFailed(
        f"the keys for the data store could not be fetched: {failure}",
        hint="can the data store be reached from there? then run the same command again",
    )


def remove(bucket: ObjectStore, job_id: str, *, attempts: int = 3) -> None:
    """Remove what was left for a job; fine when it is gone.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    bucket.at(bucket.name, "").delete(key_of(job_id), attempts)


def key_of(job_id: str) -> str:
    """Where it lies: outside every scene, whose names begin with a letter or a digit."""
    return f".handover/{job_id}"


def _read(address: str) -> bytes:
    import ssl
    import urllib.request

    from maquette.storage.proxies import opener_for

    tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    opener = opener_for(address, urllib.request.HTTPSHandler(context=tls))
    with opener.open(address, timeout=30) as answer:
        content: bytes = answer.read(_MOST_BYTES)
    return content


def _mixed(text: bytes, pad: bytes) -> bytes:
    if len(text) != len(pad):
        raise ValueError("the pad does not fit")
    return bytes(one ^ other for one, other in zip(text, pad, strict=True))


def _gone(status: int) -> MaquetteError:
    said = f"the data store answers {status}" if status else "what lies there does not fit"
    return CredentialsError(
        "the keys for the data store can not be fetched any more",
        detail=f"{said}: they are left for one start of a job, within {LIFETIME_S // 3600} hours",
        hint="run the same command again: it leaves them anew",
    )
