"""The native part of libws, for those who want all of its speed.

Callbacks: a Listener is called straight from the turn of the event loop that brought the message,
without a task or a queue in between.

    class Echo(core.Listener):
        def on_message(self, connection, message):
            connection.send_now(message)

    server = await core.listen(lambda request: Echo(), "localhost", 8765)
    connection = await core.open("ws://localhost:8765/", Echo())

No I/O: an Engine is the protocol alone, for programs with a transport of their own.

    engine.tick(now_ms)                         time goes in
    engine.feed(data)                           bytes go in
    for event in engine.events(): handle(event) events come out
    transport.write(engine.output())            bytes come out
    wait as engine.want_read, want_eof, want_close and engine.deadline say

The other classes are those that libws.asyncio and libws.sync are made of.  Names, units and error
codes are those of the C headers (include/libws).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ._core import (
    TLS,
    Client,
    ClosedEvent,
    Config,
    Connection,
    Engine,
    Error,
    Loop,
    Message,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    Request,
    RequestEvent,
    Server,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from . import _core

__all__ = [
    "TLS",
    "Client",
    "ClosedEvent",
    "Config",
    "Connection",
    "Engine",
    "Error",
    "Event",
    "Listener",
    "Listening",
    "Loop",
    "Message",
    "MessageEvent",
    "OpenEvent",
    "PingEvent",
    "PongEvent",
    "Request",
    "RequestEvent",
    "Server",
    "listen",
    "open",
]

# What Engine.events gives.
Event = RequestEvent | OpenEvent | MessageEvent | PingEvent | PongEvent | ClosedEvent

_FORBIDDEN = 403
_UPGRADE_REQUIRED = 426
_UNAVAILABLE = 503


class Listener:
    """What happens on a connection.  All methods do nothing until they are overridden.

    They run inside the turn that brought the event and must not block: everything else on the loop
    waits.  What they raise goes to sys.unraisablehook, and the connection goes on.

    To answer, call connection.send_now(message).  It never waits; when it returns True, more than
    Config's send_high_bytes is queued: stop sending until on_drain, or close.  To slow the peer
    down instead, call connection.pause() and later connection.resume().
    """

    __slots__ = ()

    def on_open(self, connection: Connection) -> None:
        """The handshake is done; messages may be sent."""

    def on_message(self, connection: Connection, message: Any) -> None:
        """A whole message: str for text, bytes for binary."""

    def on_close(self, connection: Connection) -> None:
        """Nothing follows; connection.close_info says how it ended."""

    def on_drain(self, connection: Connection) -> None:
        """The queue is short again, after send_now returned True."""

    def on_ping(self, connection: Connection, data: bytes) -> None:
        """A ping; its pong is sent already, unless Config has no_auto_pong."""

    def on_pong(self, connection: Connection, data: bytes) -> None:
        """A pong, other than the answer to a keepalive ping."""


def _closed_error(connection: Connection) -> BaseException:
    from ._failures import connection_closed

    return connection_closed(connection.close_info)


class _Opened(Connection):
    """A client's side, until open() has its result and after."""

    __slots__ = ("_outcome",)

    _outcome: asyncio.Future[None]

    def _on_open(self) -> None:
        if not self._outcome.done():
            self._outcome.set_result(None)

    def _on_failed(self, error: int, detail: str, sys_errno: int, http_status: int) -> None:
        from ._failures import connect_failed

        if not self._outcome.done():
            answer = None if self._client is None else self._client.response
            failure = connect_failed(error, detail, sys_errno, http_status, answer)
            self._outcome.set_exception(failure)

    def _closed_error(self) -> BaseException:
        return _closed_error(self)


async def open(  # noqa: A001 (of the module: core.open)
    url: str,
    listener: object,
    *,
    tls: TLS | None = None,
    config: Config | None = None,
    headers: Iterable[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
    **options: Any,
) -> Connection:
    """Connect to `url` and call `listener` for what happens there; on_open comes before the return.

    `options` are further arguments of Client: tls_name, proxy, proxy_env, connect_to, fd...
    Errors: as libws.connect.
    """
    from ._failures import refused_client
    from .asyncio import _loop

    connection = _Opened(_loop.current(), listener)
    connection._outcome = asyncio.get_running_loop().create_future()
    try:
        client = Client(
            connection,
            url,
            config or Config(),
            headers=list(headers),
            subprotocols=subprotocols,
            tls=tls,
            **options,
        )
    except Error as error:
        raise refused_client(error, url, options.get("proxy")) from None
    try:
        await connection._outcome
    except BaseException:
        client.close()
        raise
    return connection


class _Accepted(Connection):
    """A server's side."""

    __slots__ = ("_listening",)

    _listening: Listening

    def _on_open(self) -> None:
        if self._listening._closing:
            self.close_now(self._listening._code)

    def _on_close(self) -> None:
        self._listening._forget(self)

    def _closed_error(self) -> BaseException:
        return _closed_error(self)


class Listening:
    """A server that listen() has started.  `async with` closes it at the end of the block."""

    def __init__(
        self,
        listener_factory: Callable[[Request], object | None],
        sockets: list[socket.socket],
        tls: TLS | None,
        config: Config,
        subprotocols: Sequence[str],
        max_connections: int | None,
    ) -> None:
        from ._listen import attach
        from .asyncio import _loop

        self._factory = listener_factory
        self._subprotocols = subprotocols
        self._loop = _loop.current()
        self._connections: set[_Accepted] = set()
        self._closing = False
        self._code = 1001
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sockets = sockets
        self._server: Server | None = Server(
            self._loop, self._on_request, config, max_connections=max_connections
        )
        self._listeners: list[_core.Listener] = [
            attach(self._server, sock, tls) for sock in sockets
        ]
        _loop.hold(self)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """What it listens on, for their addresses; () once it is closed."""
        return tuple(self._sockets)

    @property
    def port(self) -> int:
        """The TCP port of the first socket.  Errors: RuntimeError (there is none)."""
        for sock in self._sockets:
            if sock.family != socket.AF_UNIX:
                return int(sock.getsockname()[1])
        raise RuntimeError("the server listens on no port")

    @property
    def connections(self) -> frozenset[Connection]:
        """Those that were accepted and have not ended."""
        return frozenset(self._connections)

    def set_tls(self, tls: TLS | None) -> None:
        """Use it for the connections to come: new certificates without a restart."""
        for each in self._listeners:
            each.set_tls(tls)

    def close(self, code: int = 1001) -> None:
        """Accept no more, and close all connections with `code`.  wait_closed waits for it."""
        if self._closing:
            return
        self._closing, self._code = True, code
        for each in self._listeners:
            each.close()
        self._close_sockets()
        for connection in list(self._connections):
            connection.close_now(code)
        self._finish_if_empty()

    async def wait_closed(self) -> None:
        """Until it is closed and no connection is left."""
        await asyncio.shield(self._finished)

    def abort(self) -> None:
        """Drop everything at once."""
        self._closing = True
        self._close_sockets()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if not self._finished.done() and not self._finished.get_loop().is_closed():
            self._finished.set_result(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    def _close_sockets(self) -> None:
        from ._listen import close_all

        close_all(self._sockets)
        self._sockets = []

    def _on_request(self, request: Request) -> None:
        if not request.is_upgrade:
            request.respond(_UPGRADE_REQUIRED)
            return
        if self._closing:
            request.respond(_UNAVAILABLE)
            return
        listener = self._factory(request)
        if listener is None:
            self._refuse(request)
            return
        connection = _Accepted(self._loop, listener)
        connection._listening = self
        request.accept(connection, self._choose(request))
        self._connections.add(connection)

    def _refuse(self, request: Request) -> None:
        from ._core import ERR_STATE

        try:
            request.respond(_FORBIDDEN)
        except Error as error:
            if error.code != ERR_STATE:  # the factory has answered it
                raise

    def _choose(self, request: Request) -> str | None:
        offered = {
            name.strip()
            for field, value in request.headers
            if field.lower() == "sec-websocket-protocol"
            for name in value.split(",")
        }
        return next((name for name in self._subprotocols if name in offered), None)

    def _forget(self, connection: _Accepted) -> None:
        self._connections.discard(connection)
        self._finish_if_empty()

    def _finish_if_empty(self) -> None:
        if self._closing and not self._connections and self._server is not None:
            # Not from inside a turn, which this would end.
            self._finished.get_loop().call_soon(self._finish)

    def _finish(self) -> None:
        from .asyncio import _loop

        if self._server is not None:
            _loop.release(self)
            self.abort()


async def listen(
    listener_factory: Callable[[Request], object | None],
    host: str | None = None,
    port: int | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    tls: TLS | None = None,
    config: Config | None = None,
    subprotocols: Sequence[str] = (),
    max_connections: int | None = None,
    backlog: int = 100,
    reuse_port: bool | None = None,
) -> Listening:
    """Serve on `host` and `port` (None: all addresses, any port), a unix socket, or `sock`.

    `listener_factory` is called with each request for a WebSocket and returns the Listener for its
    connection, or None to refuse it with 403 (or with what it gave to request.respond itself).  It
    is the place to look at request.target and, where browsers send cookies, at Origin.
    `subprotocols`: in order of preference; the first that the client offers is agreed on.
    Plain HTTP is answered with 426.  Errors: OSError (the address cannot be had), ValueError.
    """
    from ._listen import bind_all, bind_unix, check_given, close_all

    if sum(given is not None for given in (path, sock, host if host is not None else port)) > 1:
        raise ValueError("listen: give either host and port, or path, or sock")
    if sock is not None:
        sockets = [check_given(sock, backlog)]
    elif path is not None:
        sockets = [bind_unix(path, backlog=backlog)]
    else:
        infos = await asyncio.get_running_loop().getaddrinfo(
            host, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = bind_all(infos, backlog=backlog, reuse_port=reuse_port)
    try:
        return Listening(
            listener_factory, sockets, tls, config or Config(), subprotocols, max_connections
        )
    except BaseException:
        close_all(sockets)
        raise
