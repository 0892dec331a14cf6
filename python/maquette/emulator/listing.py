"""`GET /v1/job`: filters, order and pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams

from maquette.emulator.database import Job

LARGEST_PAGE = 500


class BadQuery(Exception):
    """A parameter that the service does not understand."""


def page_of(jobs: list[Job], query: QueryParams, first_page: int) -> dict[str, Any]:
    """One page of the jobs that a query selects, with metadata about the others.

    Args:
        first_page: The number of the first page, 0 or 1: nobody knows which the service uses.
    """
    known = {
        "page", "size", "order", "sort", "updatedAfter", "updatedBefore", "statusState",
        "userName", "labelSelector",
    }  # fmt: skip
    unknown = set(query.keys()) - known
    if unknown:
        raise BadQuery(f"unknown parameter {sorted(unknown)[0]}")
    found = [job for job in jobs if _matches(job, query)]
    key = query.get("sort", "createdAt")
    found.sort(key=lambda job: _field(job.public, key), reverse=query.get("order") == "desc")
    size = min(max(_number(query, "size", 100), 1), LARGEST_PAGE)
    page = _number(query, "page", first_page)
    start = (page - first_page) * size
    count = -(-len(found) // size)
    more = start + size < len(found)
    return {
        "items": [job.public for job in found[max(start, 0) : start + size]],
        "metadata": {
            "currentPage": page,
            "pageCount": count,
            "total": len(found),
            "links": {"next": f"/v1/job?page={page + 1}&size={size}" if more else None},
        },
    }


def _matches(job: Job, query: QueryParams) -> bool:
    labels = job.public["spec"].get("labels", {})
    for selector in filter(None, query.get("labelSelector", "").split(",")):
        name, equals, value = selector.partition("=")
        if not equals:
            raise BadQuery(f"labelSelector {selector} is not of the form k=v")
        if labels.get(name) != value:
            return False
    states = query.getlist("statusState")
    updated = datetime.fromisoformat(job.public["updatedAt"]).timestamp()
    return (
        (not states or job.status["state"] in states)
        and ("userName" not in query or job.public["user"] == query["userName"])
        and ("updatedAfter" not in query or updated > _number(query, "updatedAfter", 0))
        and ("updatedBefore" not in query or updated < _number(query, "updatedBefore", 0))
    )


def _number(query: QueryParams, name: str, default: int) -> int:
    try:
        return int(query.get(name, default))
    except ValueError:
        raise BadQuery(f"{name} is not a number") from None


def _field(job: dict[str, Any], name: str) -> str:
    value: Any = job
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return str(value or "")
