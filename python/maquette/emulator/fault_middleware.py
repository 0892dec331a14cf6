"""What faults do to requests and answers on their way to and from the endpoints."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from maquette.emulator.connections import abort
from maquette.emulator.faults import Fault, mangled
from maquette.emulator.service import Jobs


class FaultMiddleware:
    """Answers, delays, cuts and changes what a fault is meant for; passes on the rest."""

    def __init__(self, app: ASGIApp, jobs: Jobs) -> None:
        self._app = app
        self._faults = jobs.service.faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if (fault := self._faults.for_request(("delay",), method, path)) is not None:
            await asyncio.sleep(fault.seconds)
        before = self._faults.for_request(("status", "drop_before"), method, path)
        if before is not None and before.kind == "status":
            answer = JSONResponse({"message": before.message or "on demand"}, before.code or 503)
            await answer(scope, receive, send)
        elif before is not None:
            abort(scope)
        elif self._faults.for_request(("drop_after",), method, path) is not None:
            await self._app(scope, receive, _discard)
            abort(scope)
        elif (change := self._faults.for_request(("mangle",), method, path)) is not None:
            await self._app(scope, receive, _MangledResponse(send, change))
        else:
            await self._app(scope, receive, send)


class _MangledResponse:
    """Changes the jobs in an answer on its way."""

    def __init__(self, send: Send, fault: Fault) -> None:
        self._send, self._fault = send, fault
        self._start: Any = None

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        content = json.loads(message["body"])
        if isinstance(content, dict) and "items" in content:
            content["items"] = [mangled(job, self._fault) for job in content["items"]]
        elif isinstance(content, dict):
            content = mangled(content, self._fault)
        body = json.dumps(content).encode()
        headers = [item for item in self._start["headers"] if item[0] != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({**message, "body": body})


async def _discard(message: Any) -> None:
    """Take an answer that nobody will see."""
