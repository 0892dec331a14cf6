"""Open a store: who carries the bytes, and Ctrl-C ends requests that are under way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TypeVar
from urllib.parse import urlsplit

from maquette.errors import ExitCode
from maquette.storage.endpoints import require_without_bucket
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.proxies import proxy_for
from maquette.storage.signing import KeySource
from maquette.storage.wire import Wire
from maquette.storage.wire_store import WireStore

Store = TypeVar("Store", bound=ObjectStore)


def open_store(location: StoreLocation, keys: KeySource, bucket: str, prefix: str) -> ObjectStore:
    """Choose who carries the bytes: boto3 where a proxy is set on the way there, else our wire.

    Raises:
        ConfigError: the endpoint, or the proxy, is not an address that can be used.
    """
    require_without_bucket(location, bucket)
    proxy = None if location.is_ours_alone else proxy_for(_address(location, bucket))
    if proxy is None:
        return WireStore(Wire(location, keys), bucket, prefix)
    from maquette.storage.boto3_connection import Boto3Connection
    from maquette.storage.boto3_store import Boto3Store

    return Boto3Store(Boto3Connection(location, keys, proxy), bucket, prefix)


@contextmanager
def interruptible(store: Store) -> Iterator[Store]:
    """Close the store at the end of the block; inside it, Ctrl-C cuts it at once.

    A second Ctrl-C ends the process, wherever it is: what is whole has been written down by then,
    and the next command takes up the rest. Who handles the signal already is not disturbed.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, _end)
        raise KeyboardInterrupt

    with ExitStack() as ending:
        ending.callback(store.close)
        if is_ours:
            ending.enter_context(_at_once(store.cut))
            signal.signal(signal.SIGINT, interrupt)
        try:
            yield store
        finally:
            if signal.getsignal(signal.SIGINT) is interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _at_once(cut: Callable[[], None]) -> Iterator[None]:
    """Call `cut` in a thread of its own when Ctrl-C is pressed.

    A signal that comes just before the main thread begins to wait does not wake it: Python calls
    its handlers only once the wait is over, which `cut` ends.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def watch() -> None:
        while number := os.read(read_end, 1):
            if number[0] == signal.SIGINT:
                cut()
        os.close(read_end)

    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write_end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(ExitCode.INTERRUPTED)


def _address(location: StoreLocation, bucket: str) -> str:
    """Where the bucket answers."""
    parts = urlsplit(location.endpoint)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{f'{bucket}.{host}' if location.host_style else host}"
