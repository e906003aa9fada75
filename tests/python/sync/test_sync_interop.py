"""libws.sync against the threads of the package websockets, in both roles."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from libws.exceptions import ConnectionClosedError, InvalidStatus
from libws.sync.client import connect
from sync_support import DEADLINE, echo, running, uri_of

theirs = pytest.importorskip("websockets.sync.client")
their_server = pytest.importorskip("websockets.sync.server")

# Newer releases want it said that the connection itself is to be returned.
_PARAMETERS = inspect.signature(theirs.connect).parameters
RECENT = {"legacy": True} if "legacy" in _PARAMETERS else {}

_MESSAGES = ["", "text", "é" * 1000, b"", b"\x00\xff" * 1000, "x" * 300_000, bytes(300_000)]


@contextmanager
def their_running(handler: Callable[[Any], None], **options: Any) -> Iterator[str]:
    with their_server.serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        finally:
            server.shutdown()
            thread.join(DEADLINE)


@pytest.mark.parametrize("compression", ["deflate", "dedicated", None])
def test_our_client_their_server_messages_come_back(compression: str | None) -> None:
    with their_running(echo) as uri, connect(uri, proxy=None, compression=compression) as ws:
        for message in _MESSAGES:
            ws.send(message)
            assert ws.recv(DEADLINE) == message
        ws.send(["frag", "ments"])
        assert ws.recv(DEADLINE) == "fragments"
        assert ws.ping().wait(DEADLINE)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_their_client_our_server_messages_come_back(compression: str | None) -> None:
    with running(echo) as server:
        with theirs.connect(
            uri_of(server), proxy=None, compression=compression, **RECENT
        ) as ws:
            for message in _MESSAGES:
                ws.send(message)
                assert ws.recv(DEADLINE) == message
            ws.send(["frag", "ments"])
            assert ws.recv(DEADLINE) == "fragments"
            assert ws.ping().wait(DEADLINE)


def test_our_client_sees_the_close_of_their_server() -> None:
    with their_running(lambda c: c.close(4001, "reason")) as uri, connect(uri, proxy=None) as ws:
        with pytest.raises(ConnectionClosedError) as info:
            ws.recv(DEADLINE)
        assert info.value.rcvd is not None
        assert (info.value.rcvd.code, info.value.rcvd.reason) == (4001, "reason")


def test_our_server_sees_the_close_of_their_client() -> None:
    seen: list[tuple[int | None, str | None]] = []
    done = threading.Event()

    def handler(c: Any) -> None:
        c.wait_closed(DEADLINE)
        seen.append((c.close_code, c.close_reason))
        done.set()

    with running(handler) as server:
        with theirs.connect(uri_of(server), proxy=None, **RECENT) as ws:
            ws.close(4002, "bye")
        assert done.wait(DEADLINE)
    assert seen == [(4002, "bye")]


def test_our_client_is_refused_by_their_server() -> None:
    def process_request(connection: Any, request: Any) -> Any:
        return connection.respond(418, "teapot\n")

    with their_running(echo, process_request=process_request) as uri:
        with pytest.raises(InvalidStatus) as info:
            connect(uri, proxy=None)
        assert info.value.response.status_code == 418
        assert info.value.response.body == b"teapot\n"


def test_subprotocol_is_agreed_on_both_ways() -> None:
    with their_running(echo, subprotocols=["b"]) as uri:
        with connect(uri, proxy=None, subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
    with running(echo, subprotocols=["b"]) as server:
        with theirs.connect(
            uri_of(server), proxy=None, subprotocols=["a", "b"], **RECENT
        ) as ws:
            assert ws.subprotocol == "b"
