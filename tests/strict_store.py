"""How S3 refuses requests of a wrong time or region: a gate before a server that does not look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fault_proxy import Fault, Gate

ALLOWED = timedelta(minutes=15)


def strict(region: str, *, clock_ahead: timedelta = timedelta(0), moved_to: str = "") -> Gate:
    """A store of one region.

    Args:
        clock_ahead: Of its clock, before this machine's.
        moved_to: Host that the bucket lives at instead, its name first; the store redirects there.
    """

    def gate(headers: Mapping[str, str]) -> Fault | None:
        now = datetime.now(UTC) + clock_ahead
        date = ("Date", format_datetime(now, usegmt=True))
        signed = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(now - signed) > ALLOWED:
            said = f"<ServerTime>{now:%Y-%m-%dT%H:%M:%SZ}</ServerTime>"
            return Fault(403, "RequestTimeTooSkewed", said=said, headers=(date,))
        here = (date, ("x-amz-bucket-region", region))
        if moved_to:
            said = f"<Bucket>{moved_to.partition('.')[0]}</Bucket><Endpoint>{moved_to}</Endpoint>"
            return Fault(301, "PermanentRedirect", said=said, headers=here)
        scope = re.search(r"Credential=[^/]+/\d{8}/([^/]+)/s3/", headers["authorization"])
        if scope is None or scope.group(1) != region:
            said = f"<Region>{region}</Region>"
            return Fault(400, "AuthorizationHeaderMalformed", said=said, headers=here)
        return None

    return gate
