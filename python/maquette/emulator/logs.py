"""A job's log: as text, as a stream, and over a websocket with keep-alives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect

from maquette.emulator.clock import Clock, now, shortened
from maquette.emulator.database import Job
from maquette.emulator.parts import Service
from maquette.emulator.runtimes import Runtime
from maquette.emulator.volumes import Volumes

_POLL_S = 0.1
KEEP_ALIVE = b"."


@dataclass(frozen=True)
class LogReader:
    """Reads one job's log.

    Args:
        dated: Whether each line begins with a date and `[job]`, as the command line tool shows
            it; nobody knows whether the API itself sends that.
    """

    service: Service
    job: Job
    dated: bool

    async def text(self) -> bytes:
        """Everything so far."""
        runtime: Runtime = self.service.runtime
        raw = await asyncio.to_thread(runtime.log, Volumes(self.service, self.job).task())
        if not self.dated:
            return raw
        stamp = f"{shortened(self.job.status['startedAt'] or now())} [job] ".encode()
        return b"".join(stamp + line for line in raw.splitlines(keepends=True))

    async def selected(self, query: QueryParams) -> bytes:
        """The log, or its last `tail` lines, or one page of `size` lines."""
        raw = await self.text()
        if "tail" in query:
            return b"".join(raw.splitlines(keepends=True)[-int(query["tail"]) :])
        if "size" in query:
            size, page = int(query["size"]), int(query.get("page", 0))
            return b"".join(raw.splitlines(keepends=True)[page * size : (page + 1) * size])
        return raw

    async def stream(self) -> AsyncIterator[bytes]:
        """New pieces as they come, until the job has ended."""
        sent = 0
        while True:
            over = self.job.has_ended
            raw = await self.text()
            if len(raw) > sent:
                yield raw[sent:]
                sent = len(raw)
            if over:
                return
            await asyncio.sleep(_POLL_S)


async def serve(reader: LogReader, socket: WebSocket, clock: Clock) -> None:
    """Send the log as binary frames, and a keep-alive when there is nothing to say."""
    await socket.accept()
    silence_s = clock.wall(clock.keep_alive_s)
    pieces = reader.stream()
    waiting = asyncio.ensure_future(anext(pieces))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=silence_s)
            if not done:
                await socket.send_bytes(KEEP_ALIVE)
                continue
            await socket.send_bytes(waiting.result())
            waiting = asyncio.ensure_future(anext(pieces))
    except StopAsyncIteration:
        await socket.close()
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        waiting.cancel()
