"""OVHcloud's status codes as sentences, for jobs and for copies of their data, in one table."""

from __future__ import annotations

AGAIN = "run the same command again: it continues"
_IMAGE = "look at IMAGE: name, tag, and whether its registry lets the project in"
_STORE = "`maquette datastore check ALIAS`, and the data store of that name at OVHcloud"

# Code without JOB_ or DATASYNC_ → what happened, and the next command.
JOB: dict[str, tuple[str, str]] = {
    "QUEUED": ("the job waits", ""),
    "INITIALIZING": ("the scene is being copied to the machine", ""),
    "PENDING": ("the machine is being found and the image fetched", ""),
    "RUNNING": ("the step runs", ""),
    "INTERRUPTING": ("the job was asked to stop", ""),
    "FINALIZING": ("the results are being copied to the bucket", ""),
    "DONE": ("the job is done", ""),
    "FAILED": ("the step failed", "read its log"),
    "FAILED_WITH_MESSAGE": ("the step failed", "read its log"),
    "ERROR": ("OVHcloud had an error of its own", AGAIN),
    "EVICTED": (
        "OVHcloud took the machine away: often its local disk was full",
        f"{AGAIN}; a larger FLAVOR has more disk",
    ),
    "TIMEOUT": (
        "the job reached its time limit",
        f"raise MAX_HOURS or MAX_COST, then {AGAIN}",
    ),
    "SYNC_FAILED": (
        "the results could not be copied to the bucket; OVHcloud still holds them",
        "`make {step}-push {names}` copies them again",
    ),
    "INTERRUPTED": ("the job was stopped", AGAIN),
    "INTERRUPTED_BY_PLATFORM": ("OVHcloud stopped the job", AGAIN),
    "IMAGE_PULL": ("OVHcloud could not fetch the image", _IMAGE),
    "IMAGE_PULL_BACKOFF": ("OVHcloud could not fetch the image, repeatedly", _IMAGE),
    "IMAGE_INSPECT_ERROR": ("OVHcloud could not read the image", "is it built for linux/amd64?"),
    "INVALID_IMAGE_NAME": ("the image's name is not valid", "look at IMAGE"),
    "REGISTRY_UNAVAILABLE": ("the image's registry does not answer", "try again later"),
    "CREATE_CONTAINER_ERROR": ("OVHcloud could not make a container of the image", _IMAGE),
    "CREATE_CONTAINER_CONFIG_ERROR": ("OVHcloud could not configure the container", _IMAGE),
}

DATASYNC: dict[str, tuple[str, str]] = {
    "QUEUED": ("the copy waits", ""),
    "RUNNING": ("the copy runs", ""),
    "DONE": ("the copy is done", ""),
    "FAILED": ("the copy failed", _STORE),
    "ERROR": ("OVHcloud had an error while copying", AGAIN),
    "INTERRUPTED": ("the copy was interrupted", AGAIN),
    "RETRY_ERROR": ("the copy failed repeatedly", AGAIN),
    "AUTHENTICATE_FAILED": ("the data store refused OVHcloud's keys", _STORE),
    "DATA_STORE_NOT_FOUND": (
        "OVHcloud knows no data store of this alias in this region",
        "`ovhai datastore add s3 ALIAS …`, once for each of GRA and BHS; or CARRY=store: the job "
        "fetches the scene itself",
    ),
    "INVALID_CONTAINER": ("the bucket's name is not valid", "look at BUCKET_NAME"),
    "PROGRESS_FAILED_FORBIDDEN": ("the bucket forbids the copy", _STORE),
    "PROGRESS_FAILED_INVALID_CREDENTIALS": ("the data store refused OVHcloud's keys", _STORE),
    "PROGRESS_FAILED_NOT_FOUND": ("the bucket or an object is gone", _STORE),
    "PROGRESS_FAILED_TRANSIENT_ERROR": ("the copy failed for a moment", AGAIN),
    "PROGRESS_FAILED_UNKNOWN_ERROR": ("the copy failed for an unknown cause", AGAIN),
}


def explain(code: str, message: str = "") -> tuple[str, str]:
    """What a code means and the next command; an unknown code is kept word for word."""
    for prefix, table in (("JOB_", JOB), ("DATASYNC_", DATASYNC)):
        if code.startswith(prefix) and code.removeprefix(prefix) in table:
            return table[code.removeprefix(prefix)]
    return (message or f"OVHcloud says {code}", "look at the job in OVHcloud's panel")
