"""Servers in threads, and peers that do what no library does, for the tests of libws.sync."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from libws.sync.client import ClientConnection, connect
from libws.sync.server import Server, ServerConnection, serve

# Nothing here takes as long; it only ends what hangs.
DEADLINE = 10.0

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def uri_of(server: Server, path: str = "/") -> str:
    host, port = server.socket.getsockname()[:2]
    return f"ws://{host}:{port}{path}"


@contextlib.contextmanager
def running(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[Server]:
    """A server on a free port of 127.0.0.1, served by a thread."""
    if not {"sock", "path"} & options.keys():
        options = {"host": "127.0.0.1", "port": 0, **options}
    server = serve(handler, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(DEADLINE)
        assert not thread.is_alive()


@contextlib.contextmanager
def connected(
    handler: Callable[[ServerConnection], None] = echo,
    server_options: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[ClientConnection]:
    """A client that is connected to a server of its own."""
    options = {"proxy": None, **options}
    with running(handler, **(server_options or {})) as server:
        with connect(uri_of(server), **options) as connection:
            yield connection


class RawServer:
    """A socket that accepts one connection, does the opening handshake, and is then scripted.

    `handshake=False`: it does not even answer the request.
    """

    def __init__(self, *, handshake: bool = True, answer: bytes | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.uri = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.head = b""
        self.peer: socket.socket | None = None
        self.ready = threading.Event()
        self._handshake = handshake
        self._answer = answer
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join(DEADLINE)
        self.listener.close()
        if self.peer is not None:
            self.peer.close()

    def _run(self) -> None:
        try:
            peer, _ = self.listener.accept()
        except OSError:
            return
        peer.settimeout(DEADLINE)
        self.peer = peer
        while b"\r\n\r\n" not in self.head:
            data = peer.recv(4096)
            if not data:
                break
            self.head += data
        if self._answer is not None:
            peer.sendall(self._answer)
        elif self._handshake:
            peer.sendall(self._switching())
        self.ready.set()

    def _switching(self) -> bytes:
        lines = self.head.decode().split("\r\n")
        key = next(x.split(": ")[1] for x in lines if x.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()

    def send(self, data: bytes) -> None:
        assert self.ready.wait(DEADLINE)
        assert self.peer is not None
        self.peer.sendall(data)

    def hang_up(self) -> None:
        assert self.ready.wait(DEADLINE)
        assert self.peer is not None
        self.peer.close()


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as a server sends it; at most 125 bytes."""
    assert len(payload) < 126
    return bytes([opcode | (0x80 if fin else 0), len(payload)]) + payload


class Call:
    """A function that runs in a thread of its own; result() joins it."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._outcome: list[Any] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(function, args, kwargs))
        self._thread.start()

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            self._outcome.append(function(*args, **kwargs))
        except BaseException as error:
            self._error.append(error)

    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the call did not return"
        if self._error:
            raise self._error[0]
        return self._outcome[0]


def wait_until(condition: Callable[[], bool]) -> None:
    """For what no event tells; at most DEADLINE."""
    clock = threading.Event()
    for _ in range(int(DEADLINE / 0.005)):
        if condition():
            return
        clock.wait(0.005)
    raise AssertionError("it did not come true")
