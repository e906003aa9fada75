"""A server for asyncio, and its connections from their request to their end."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import _core, _handshake
from .._listen import attach, close_all, name_of
from .._options import address
from ..exceptions import ConnectionClosedOK, InvalidHandshake, ProtocolError
from ..frames import Close, CloseCode
from ..http11 import Request, Response
from ..protocol import State
from . import _loop
from .connection import Connection, _pack_request, _pack_response, _wake

if TYPE_CHECKING:

    from typing_extensions import Self

    from ..typing import LoggerLike, StatusLike, Subprotocol

    Handler = Callable[["ServerConnection"], Awaitable[None]]
    Answer = Response | None
    ProcessRequest = Callable[["ServerConnection", Request], Awaitable[Answer] | Answer]
    ProcessResponse = Callable[
        ["ServerConnection", Request, Response], Awaitable[Answer] | Answer
    ]
    SelectSubprotocol = Callable[
        ["ServerConnection", Sequence[Subprotocol]],
        Awaitable[Subprotocol | None] | Subprotocol | None,
    ]

__all__ = ["Server", "ServerConnection", "settled"]

# What close(close_connections=False) closes them with.
_STAY_OPEN = Close(0, "")

# What a Close frame has room for (RFC 6455 5.5).
_MAX_REASON_BYTES = 123


class ServerConnection(Connection):
    """A connection that a client has opened: see libws.asyncio.connection.Connection.

    A subclass can be given to serve as create_connection; it is called with the same arguments.
    """

    server: Server
    username: str  # set by basic_auth
    _native: _core.Request | None  # until the handshake is answered

    # Handlers may add attributes: the dictionary is made with the first.
    __slots__ = ("__dict__", "_native", "server")

    def __init__(
        self, loop: _core.Loop, server: Server, *, max_queue: tuple[int, int] | None = (16, 4)
    ) -> None:
        super().__init__(loop, max_queue=max_queue, logger=server.logger)
        self.server = server
        self._native = None

    @property
    def local_address(self) -> Any:
        """As socket.getsockname: (host, port), for IPv6 a tuple of four, a str for unix."""
        where = super().local_address if self._native is None else address(self._native.local)
        return where or self.server._unix_path

    @property
    def remote_address(self) -> Any:
        """As socket.getpeername; see local_address."""
        return super().remote_address if self._native is None else address(self._native.peer)

    def respond(self, status: StatusLike, text: str) -> Response:
        """A plain text answer for process_request or process_response to return."""
        return _handshake.reject(status, text)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self.server._task_done(self, task)

    def _on_open(self) -> None:
        self.server._opened(self)

    def _on_close(self) -> None:
        super()._on_close()
        self.server._closed(self)


class Server:
    """A server that serve() has made.

    `await` it, or enter it with `async with`, to start it; leaving the block closes it.
    """

    _was_awaited = True  # until it is made

    def __init__(
        self,
        handler: Handler,
        make_sockets: Callable[[], Awaitable[list[socket.socket]]],
        *,
        config: _core.Config,
        policy: _handshake.Policy,
        tls: _core.TLS | None,
        process_request: ProcessRequest | None,
        process_response: ProcessResponse | None,
        open_timeout: float | None,
        max_queue: tuple[int, int] | None,
        logger: LoggerLike,
        create_connection: Callable[..., ServerConnection],
        start_serving: bool,
    ) -> None:
        self.handler = handler
        self.logger = logger
        self._make_sockets = make_sockets
        self._config = config
        self._policy = policy
        self._tls = tls
        self._process_request = process_request
        self._process_response = process_response
        # Without callbacks that may wait, a request is answered on the spot.
        self._asks = (
            process_request is not None
            or process_response is not None
            or inspect.iscoroutinefunction(policy.select_subprotocol)
        )
        self._open_timeout = open_timeout
        self._max_queue = max_queue
        self._create_connection = create_connection
        self._start_at_once = start_serving
        self._context = contextvars.copy_context()
        self._core: _core.Server | None = None
        self._core_loop: _core.Loop | None = None
        self._listeners: list[_core.Listener] | None = None
        self._sockets: list[socket.socket] = []
        self._unix_path: str | None = None  # what a unix socket listens on
        # From the request until the connection is closed and its tasks are done.
        self._live: dict[ServerConnection, asyncio.Task[None] | None] = {}
        # Of the asks path: told when its connection is open.
        self._opening: dict[ServerConnection, asyncio.Future[None]] = {}
        self._closing: Close | None = None  # what connections are closed with, or _STAY_OPEN
        self._finished: asyncio.Future[None] | None = None
        self._was_awaited = False

    # Starting.

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        return await self._start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    async def _start(self) -> Self:
        self._was_awaited = True
        if self._finished is not None:
            return self
        sockets = await self._make_sockets()
        self._core_loop = _loop.current()
        self._core = _core.Server(self._core_loop, self._on_request, self._config)
        self._finished = asyncio.get_running_loop().create_future()
        self._sockets = sockets
        if sockets[0].family == socket.AF_UNIX:
            self._unix_path = sockets[0].getsockname()
        _loop.hold(self)
        if self._start_at_once:
            try:
                await self.start_serving()
            except BaseException:
                _loop.release(self)
                self.abort()
                raise
        return self

    async def start_serving(self) -> None:
        """Begin to accept connections; only needed after serve(..., start_serving=False)."""
        if self._finished is None:
            await self._start()
        core = self._core
        if core is None or self._listeners is not None:
            return
        self._listeners = [attach(core, sock, self._tls) for sock in self._sockets]
        for sock in self._sockets:
            self.logger.info("server listening on %s", name_of(sock))

    async def serve_forever(self) -> None:
        """Serve until the server is closed; when this is cancelled, it closes the server."""
        await self.start_serving()
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    # What it is.

    @property
    def connections(self) -> set[ServerConnection]:
        """Those that are open: not opening any more, not closing yet."""
        # The state of the extension module is a plain int, and much cheaper to ask for.
        state = _core.Connection.state.__get__
        return {connection for connection in self._live if state(connection) == _core.OPEN}

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """What it listens on, for their addresses; () once it is closed."""
        return tuple(self._sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop it runs on."""
        if self._finished is None:
            raise RuntimeError("the server has not been started")
        return self._finished.get_loop()

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._listeners is not None and self._closing is None

    # A connection's way from its request to its end.

    def _on_request(self, native: _core.Request) -> None:
        connection = self._create_connection(self._core_loop, self, max_queue=self._max_queue)
        connection._native = native
        self._live[connection] = None
        if self._asks:
            self._spawn(connection, self._ask_and_handle(connection, native))
            return
        request = connection._request = _handshake.read_request(native)
        response = self._propose(connection, native, request, self._policy)
        if not self._answer(connection, native, response):
            self._forget(connection)

    def _propose(
        self,
        connection: ServerConnection,
        native: _core.Request,
        request: Request,
        policy: _handshake.Policy,
    ) -> Response:
        if self._refuses():
            return _handshake.shutting_down()
        response = _handshake.propose(native, request, policy, connection, self.logger)
        return self._name_server(response)

    def _refuses(self) -> bool:
        return self._closing is not None and self._closing is not _STAY_OPEN

    def _name_server(self, response: Response) -> Response:
        header = self._policy.server_header
        if header is not None and "Server" not in response.headers:
            response.headers["Server"] = header
        return response

    def _answer(
        self, connection: ServerConnection, native: _core.Request, response: Response
    ) -> bool:
        """Answer the request; whether _opened follows."""
        connection._native = None
        try:
            _handshake.answer(native, connection, response)
        except _core.Error as error:
            if error.code != _core.ERR_CLOSED:
                self.logger.error("the opening handshake failed: %s", error)
                native.respond(500)
            return False
        if not _handshake.is_switching(response):
            self.logger.info("connection rejected with %d", response.status_code)
            return False
        # Small from here on; what callbacks changed in the objects is kept.
        if isinstance(connection._request, Request):
            connection._request = _pack_request(connection._request)
        connection._response = _pack_response(response)
        return True

    async def _ask_and_handle(self, connection: ServerConnection, native: _core.Request) -> None:
        """The task of a connection when the application has a say in the handshake."""
        opened: asyncio.Future[None] = self.get_loop().create_future()
        self._opening[connection] = opened
        try:
            if not await self._ask_in_time(connection, native):
                return
            del native
            await opened
        finally:
            del self._opening[connection]
        del opened
        if connection.state is State.OPEN:
            await self.handler(connection)

    async def _ask_in_time(self, connection: ServerConnection, native: _core.Request) -> bool:
        # The library drops the peer when open_timeout is over; this ends what it was waiting for.
        task = asyncio.current_task()
        assert task is not None
        timer = None
        if self._open_timeout is not None:
            timer = self.get_loop().call_later(self._open_timeout, task.cancel)
        try:
            response = await self._ask(connection, native)
        except Exception:
            self.logger.error("the opening handshake failed", exc_info=True)
            response = self._name_server(_handshake.failed())
        except asyncio.CancelledError:
            self._answer(connection, native, _handshake.shutting_down())
            raise
        finally:
            if timer is not None:
                timer.cancel()
        return self._answer(connection, native, response)

    async def _ask(self, connection: ServerConnection, native: _core.Request) -> Response:
        request = connection._request = _handshake.read_request(native)
        response: Response | None = None
        if self._process_request is not None:
            response = await settled(self._process_request(connection, request))
        if response is None:
            policy = await self._settled_policy(connection, request)
            response = self._propose(connection, native, request, policy)
        else:
            self._name_server(response)
        if self._process_response is not None:
            other = await settled(self._process_response(connection, request, response))
            response = response if other is None else other
        if self._refuses() and _handshake.is_switching(response):
            return _handshake.shutting_down()
        return response

    async def _settled_policy(
        self, connection: ServerConnection, request: Request
    ) -> _handshake.Policy:
        """The policy, with what a coroutine function select_subprotocol chose."""
        policy = self._policy
        select = policy.select_subprotocol
        if select is None or not inspect.iscoroutinefunction(select):
            return policy
        chosen: Subprotocol | None = None
        refused: InvalidHandshake | None = None
        try:
            chosen = await select(connection, _handshake.offered_subprotocols(request))
        except InvalidHandshake as error:
            refused = error

        def chose(_connection: ServerConnection, _offered: object) -> Subprotocol | None:
            if refused is not None:
                raise refused
            return chosen

        return _handshake.Policy(
            origins=policy.origins,
            select_subprotocol=chose,
            server_header=policy.server_header,
        )

    def _opened(self, connection: ServerConnection) -> None:
        if self.logger.isEnabledFor(logging.INFO):
            connection.logger.info("connection open")
        if self._closing is not None and self._closing is not _STAY_OPEN:
            connection._begin_close(self._closing.code, self._closing.reason)
        opened = self._opening.get(connection)
        if opened is not None:
            _wake(opened)
        elif connection not in self._live:
            connection._begin_close(CloseCode.GOING_AWAY)
        elif connection.state is State.OPEN:
            try:
                coroutine = self.handler(connection)
            except Exception as error:
                coroutine = _raise(error)
            self._spawn(connection, coroutine)

    def _spawn(self, connection: ServerConnection, coroutine: Any) -> None:
        """Run it as the task of a connection, in a copy of the context of serve()."""
        context = self._context.copy()
        if not asyncio.iscoroutine(coroutine):
            coroutine = settled(coroutine)
        loop = self.get_loop()
        if sys.version_info >= (3, 11):
            task = loop.create_task(coroutine, context=context)
        else:
            task = context.run(loop.create_task, coroutine)
        self._live[connection] = task
        task.add_done_callback(connection._task_done, context=context)

    def _task_done(self, connection: ServerConnection, task: asyncio.Task[None]) -> None:
        error: BaseException | None = None
        code = CloseCode.NORMAL_CLOSURE
        if task.cancelled():
            code = CloseCode.GOING_AWAY
        elif (error := task.exception()) is not None:
            code = CloseCode.INTERNAL_ERROR
        if isinstance(error, ConnectionClosedOK):
            # The peer, or close(), ended what the handler was in: that is how handlers end.
            connection.logger.debug("connection handler ended: %s", error)
        elif error is not None:
            connection.logger.error("connection handler failed", exc_info=error)
        self._live[connection] = None
        if connection.state is State.OPEN:
            connection._begin_close(code)
        if connection.state in (State.CLOSED, State.CONNECTING):
            self._forget(connection)

    def _closed(self, connection: ServerConnection) -> None:
        if self._live.get(connection) is None:
            self._forget(connection)

    def _forget(self, connection: ServerConnection) -> None:
        self._live.pop(connection, None)
        if connection._ended is not None:
            _wake(connection._ended)  # also of one that was refused
        if self._closing is not None and not self._live:
            self.get_loop().call_soon(self._finish)

    # The end.

    def close(
        self,
        close_connections: bool = True,
        code: CloseCode | int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Accept no more, and close the connections that are open.

        `close_connections` False: leave them to their handlers.  Handshakes that are not finished
        are answered with 503.  wait_closed() waits for all of it.  Calling it again does nothing
        more than what the earlier call left out.  Errors: ProtocolError (code or reason).
        """
        closing = _STAY_OPEN
        if close_connections:
            closing = Close(code, reason)
            _check(closing)
        if self._closing is None:
            self.logger.info("server closing")
            for listener in self._listeners or ():
                listener.close()
            close_all(self._sockets)
            self._sockets = []
        elif self._closing is not _STAY_OPEN or closing is _STAY_OPEN:
            return
        self._closing = closing
        if self._core is None:
            return
        if close_connections:
            for connection in list(self._live):
                connection._begin_close(code, reason)
        if not self._live:
            self.get_loop().call_soon(self._finish)

    def _finish(self) -> None:
        if self._core is None or self._live:
            return
        # What is left are peers that have sent no request.
        _loop.release(self)
        self.abort()
        self.logger.info("server closed")

    def abort(self) -> None:
        """Drop everything at once; for when its event loop has come to its end."""
        close_all(self._sockets)
        self._sockets = []
        self._listeners = None
        # The one refers to the other, and only here the circle is broken.
        core, self._core = self._core, None
        if core is not None:
            core.close()
        if self._finished is not None:
            _wake(self._finished)

    async def wait_closed(self) -> None:
        """Wait until the server is closed, all connections are, and all handlers have ended."""
        if self._finished is None:
            return
        await asyncio.shield(self._finished)

    def __del__(self) -> None:
        if not self._was_awaited:
            warnings.warn(f"{self!r} was never awaited", RuntimeWarning, stacklevel=2, source=self)


def _check(closing: Close) -> None:
    """Raise ProtocolError for what a server cannot send."""
    closing.check()
    if closing.code == CloseCode.MANDATORY_EXTENSION:
        raise ProtocolError("close code 1010 is for clients")
    if len(closing.reason.encode()) > _MAX_REASON_BYTES:
        raise ProtocolError(f"the reason is longer than {_MAX_REASON_BYTES} bytes")


async def settled(value: Any) -> Any:
    """What a callback gave, or what the awaitable gives that it gave."""
    return await value if inspect.isawaitable(value) else value


async def _raise(error: Exception) -> None:
    raise error
