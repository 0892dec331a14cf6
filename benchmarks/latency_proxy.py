"""A TCP proxy that puts a distance between two programs: every request waits once.

    .venv/bin/python benchmarks/latency_proxy.py PORT UPSTREAM_PORT SECONDS

The first bytes that a client sends after the server spoke (or at the beginning) are held back.
"""

from __future__ import annotations

import asyncio
import sys


async def main(port: int, upstream: int, delay_s: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", upstream, limit=1 << 20)
        answered = asyncio.Event()
        answered.set()
        tasks = [
            asyncio.create_task(_requests(reader, there[1], answered, delay_s)),
            asyncio.create_task(_answers(there[0], writer, answered)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in (writer, there[1]):
            end.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20, backlog=1024)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


async def _requests(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answered: asyncio.Event,
    delay_s: float,
) -> None:
    while chunk := await reader.read(1 << 18):
        if answered.is_set():
            answered.clear()
            await asyncio.sleep(delay_s)
        writer.write(chunk)
        await writer.drain()


async def _answers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answered: asyncio.Event
) -> None:
    while chunk := await reader.read(1 << 18):
        answered.set()
        writer.write(chunk)
        await writer.drain()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
