"""Whether what was published can be read, as a stranger would."""

from __future__ import annotations

import urllib.error
import urllib.request

from maquette.storage.proxies import opener_for

_LIMIT_S = 10.0


def why_not_public(link: str) -> str:
    """A sentence about a link that strangers can not open; "" when they can."""
    try:
        request = urllib.request.Request(link, method="HEAD", headers={"user-agent": "maquette"})
        opener_for(link).open(request, timeout=_LIMIT_S).close()
        return ""
    except urllib.error.HTTPError as error:
        return (
            f"the store does not let everybody read it yet (HTTP {error.code}): allow public "
            "reading in the bucket's settings, or publish without PUBLIC=1 for a link that ends"
        )
    except OSError as error:
        return f"the link could not be tried from here: {error}"
