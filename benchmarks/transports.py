"""Which library carries many files fastest, with how much CPU? Ours, boto3, obstore, awscrt.

    .venv/bin/pip install obstore awscrt
    .venv/bin/python benchmarks/transports.py [--json] [--files 400] [--size 300000]
        [--in-flight 16]

Each uploads and downloads the same files against one `rclone serve s3`, started here. Libraries
that are not installed are left out. Ours is the only one that verifies what it downloads.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from maquette.storage.diffing import Difference, Kind
from maquette.storage.downloading import download
from maquette.storage.embedded import Running, serving
from maquette.storage.object_store import RemoteObject
from maquette.storage.opening import open_store
from maquette.storage.transfer import Transfer
from maquette.storage.uploading import upload_whole
from rows import Row, print_rows

BUCKET = "transports"
Move = Callable[[list[Path], Path, int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--size", type=int, default=300_000)
    parser.add_argument("--in-flight", type=int, default=16)
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name, serving(Path(name) / "server") as running:
        source = Path(name) / "source"
        source.mkdir()
        for number in range(arguments.files):
            (source / f"{number:05}.jpg").write_bytes(os.urandom(arguments.size))
        open_store(running.location, running.credentials, BUCKET, "").ensure()
        for tool, make in TOOLS.items():
            if tool != "maquette" and importlib.util.find_spec(tool) is None:
                continue
            target = Path(name) / tool
            target.mkdir()
            up, down = make(running)
            for case, move, folder in (("up", up, source), ("down", down, target)):
                wall, cpu = time.monotonic(), time.process_time()
                move(sorted(source.iterdir()), folder, arguments.in_flight)
                rows.append(Row(case, tool, "wall", time.monotonic() - wall, "s"))
                rows.append(Row(case, tool, "cpu", time.process_time() - cpu, "s"))
    print_rows(rows, arguments.json)


def ours(running: Running) -> tuple[Move, Move]:
    bucket = open_store(running.location, running.credentials, BUCKET, "ours")
    known: dict[str, RemoteObject] = {}

    def up(files: list[Path], folder: Path, in_flight: int) -> None:
        transfer = Transfer(bucket, folder, folder)
        with ThreadPoolExecutor(in_flight) as pool:
            done = pool.map(lambda path: upload_whole(transfer, path.name, unheard), files)
            known.update({path.name: item.remote for path, item in zip(files, done, strict=True)})

    def down(files: list[Path], folder: Path, in_flight: int) -> None:
        transfer = Transfer(bucket, folder, folder)

        def one(path: Path) -> None:
            there = known[path.name]
            found = Difference(path.name, Kind.ONLY_THERE, None, there, None)
            download(transfer, found, unheard, pool)

        with ThreadPoolExecutor(in_flight) as pool:
            list(pool.map(one, files))

    return up, down


def unheard(*_: Any) -> None:
    """Nobody keeps an index here."""


def with_boto3(running: Running) -> tuple[Move, Move]:
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=running.location.endpoint,
        region_name=running.location.region,
        aws_access_key_id=running.credentials.access_key,
        aws_secret_access_key=running.credentials.secret_key,
        config=Config(max_pool_connections=64, s3={"addressing_style": "path"}),
    )
    config = TransferConfig(use_threads=False)

    def up(files: list[Path], folder: Path, in_flight: int) -> None:
        with ThreadPoolExecutor(in_flight) as pool:
            jobs = [
                pool.submit(client.upload_file, str(p), BUCKET, f"boto3/{p.name}", Config=config)
                for p in files
            ]
        for job in jobs:
            job.result()

    def down(files: list[Path], folder: Path, in_flight: int) -> None:
        with ThreadPoolExecutor(in_flight) as pool:
            jobs = [
                pool.submit(
                    client.download_file, BUCKET, f"boto3/{p.name}", str(folder / p.name),
                    Config=config,
                )
                for p in files
            ]  # fmt: skip
        for job in jobs:
            job.result()

    return up, down


def with_obstore(running: Running) -> tuple[Move, Move]:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        endpoint=running.location.endpoint,
        region=running.location.region,
        access_key_id=running.credentials.access_key,
        secret_access_key=running.credentials.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )

    def moving(one: Callable[[Path, Path], Any]) -> Move:
        async def all_of(files: list[Path], folder: Path, in_flight: int) -> None:
            free = asyncio.Semaphore(in_flight)

            async def limited(path: Path) -> None:
                async with free:
                    await one(path, folder)

            await asyncio.gather(*map(limited, files))

        return lambda files, folder, in_flight: asyncio.run(all_of(files, folder, in_flight))

    async def up(path: Path, folder: Path) -> None:
        await obstore.put_async(store, f"obstore/{path.name}", path, use_multipart=False)

    async def down(path: Path, folder: Path) -> None:
        answer = await obstore.get_async(store, f"obstore/{path.name}")
        (folder / path.name).write_bytes(await answer.bytes_async())

    return moving(up), moving(down)


def with_awscrt(running: Running) -> tuple[Move, Move]:
    from awscrt.auth import AwsCredentialsProvider
    from awscrt.http import HttpHeaders, HttpRequest
    from awscrt.s3 import S3Client, S3RequestTlsMode, S3RequestType

    keys = AwsCredentialsProvider.new_static(
        running.credentials.access_key, running.credentials.secret_key
    )
    client = S3Client(
        region=running.location.region,
        credential_provider=keys,
        tls_mode=S3RequestTlsMode.DISABLED,
        throughput_target_gbps=5,
    )
    host = running.location.endpoint.removeprefix("http://")

    def request(method: str, path: Path, size: int | None) -> HttpRequest:
        headers = HttpHeaders([("Host", host)])
        if size is not None:
            headers.add("Content-Length", str(size))
        return HttpRequest(method, f"/{BUCKET}/awscrt/{path.name}", headers)

    def moving(kind: S3RequestType, method: str) -> Move:
        def move(files: list[Path], folder: Path, in_flight: int) -> None:
            free = threading.Semaphore(in_flight)
            begun = []
            for path in files:
                free.acquire()
                upload = method == "PUT"
                begun.append(
                    client.make_request(
                        type=kind,
                        request=request(method, path, path.stat().st_size if upload else None),
                        on_done=lambda **_: free.release(),
                        **{"send_filepath" if upload else "recv_filepath": str(folder / path.name)},
                    )
                )
            for one in begun:
                one.finished_future.result()

        return move

    return moving(S3RequestType.PUT_OBJECT, "PUT"), moving(S3RequestType.GET_OBJECT, "GET")


TOOLS = {"maquette": ours, "boto3": with_boto3, "obstore": with_obstore, "awscrt": with_awscrt}


if __name__ == "__main__":
    main()
