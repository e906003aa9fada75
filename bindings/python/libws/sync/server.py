"""Accepting connections, with a thread for each."""

from __future__ import annotations

import logging
import os
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import _core, _listen
from .._broadcast import broadcast
from .._handshake import (
    Policy,
    SelectSubprotocol,
    answer,
    challenge,
    credential_check,
    failed,
    is_switching,
    presented,
    propose,
    read_request,
    reject,
    shutting_down,
)
from .._options import SERVER, connection_config, queue_limits, server_tls, write_limits
from ..frames import CloseCode
from ..http11 import Request, Response
from ._io import Signal, pass_turn, shared_loop
from .connection import Connection, check_close

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._options import SSL
    from ..typing import LoggerLike, Origin, StatusLike, Subprotocol

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

ProcessRequest = Callable[["ServerConnection", Request], "Response | None"]
ProcessResponse = Callable[["ServerConnection", Request, Response], "Response | None"]


class ServerConnection(Connection):
    """A connection that a client opened; what the handler gets.

    `server`: the Server; `username`: set by basic_auth.
    """

    server: Server
    username: str

    def respond(self, status: StatusLike, text: str) -> Response:
        """A plain text response for process_request or process_response to return."""
        return reject(status, text)


class _Settings:
    """What serve was told, as each connection needs it."""

    def __init__(
        self,
        handler: Callable[[ServerConnection], None],
        policy: Policy,
        process_request: ProcessRequest | None,
        process_response: ProcessResponse | None,
        factory: Callable[[], ServerConnection],
    ) -> None:
        self.handler = handler
        self.policy = policy
        self.process_request = process_request
        self.process_response = process_response
        self.factory = factory


class Server:
    """A listening server; what serve returns.  Much like socketserver.BaseServer.

    Requests are answered while serve_forever runs, each by a thread of its own, which then runs
    the handler.  `socket`: the listening socket; `logger`: its logger.
    """

    def __init__(
        self,
        loop: _core.Loop,
        sock: socket.socket,
        tls: _core.TLS | None,
        config: _core.Config,
        settings: _Settings,
        logger: LoggerLike,
    ) -> None:
        self.socket = sock
        self.logger = logger
        self._tls = tls
        self._settings = settings
        self._requests: queue.SimpleQueue[_core.Request | None] = queue.SimpleQueue()
        self._loop = loop
        self._native = _core.Server(loop, self._requests.put, config)
        self._listener: _core.Listener | None = None
        self._active: dict[object, int] = {}  # handlers, and the threads that run them
        self._idle = Signal()  # when one of them has ended
        self._all: set[ServerConnection] = set()
        self._closing: tuple[int, str] | None = None  # what open connections are closed with
        self._shut = False

    @property
    def connections(self) -> set[ServerConnection]:
        """Those that are open."""
        return {c for c in self._all.copy() if c._is_open()}

    def fileno(self) -> int:
        """The listening socket's descriptor."""
        return self.socket.fileno()

    def serve_forever(self) -> None:
        """Accept connections until another thread calls shutdown, or a signal raises."""
        if not self._listen():
            return
        while (native := self._requests.get()) is not None:
            self._start(native)

    def _listen(self) -> bool:
        """Begin to accept; False: shutdown was called."""
        try:
            if self._listener is None and not self._shut:
                self._listener = _listen.attach(self._native, self.socket, self._tls)
                self.logger.info("server listening on %s", _listen.name_of(self.socket))
        except OSError:
            if not self._shut:  # or else shutdown was called meanwhile, and closed the socket
                raise
        if self._shut and self._listener is not None:
            self._listener.close()
        return not self._shut

    def _start(self, native: _core.Request) -> None:
        token = object()
        self._active[token] = 0
        thread = threading.Thread(
            target=self._serve, args=(native, token), name="libws-connection"
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads; the client may try again
            del self._active[token]
            self.logger.error("cannot start a thread for a connection", exc_info=True)
            _try_respond(native, 503)

    # What runs in the thread of a connection.

    def _serve(self, native: _core.Request, token: object) -> None:
        self._active[token] = threading.get_ident()
        connection: ServerConnection | None = None
        try:
            connection = self._settings.factory()
            connection.server = self
            self._all.add(connection)
            if self._open(native, connection):
                self._handle(connection)
        except Exception:
            self.logger.error("opening handshake failed", exc_info=True)
            _try_respond(native, 500)
        finally:
            if connection is not None:
                self._all.discard(connection)
            del self._active[token]
            self._close_native()
            self._idle.notify()

    def _open(self, native: _core.Request, connection: ServerConnection) -> bool:
        """The opening handshake; whether the connection is open."""
        request = connection.request = read_request(native)
        response = self._decide(native, connection, request)
        if is_switching(response) and self._shut:
            response = shutting_down()
        connection.response = response
        try:
            answer(native, connection, response)
        except _core.Error as error:
            if error.code == _core.ERR_CLOSED:
                connection.logger.debug("the client left during the opening handshake")
            else:
                connection.logger.error("opening handshake failed: %s", error)
                _try_respond(native, 500)
            return False
        if not is_switching(response):
            connection.logger.info("connection rejected (%d)", response.status_code)
            return False
        connection._signal.wait_for(connection._has_outcome)
        return True

    def _decide(
        self, native: _core.Request, connection: ServerConnection, request: Request
    ) -> Response:
        s = self._settings
        response: Response | None = None
        try:
            if s.process_request is not None:
                response = s.process_request(connection, request)
        except Exception:
            connection.logger.error("process_request failed", exc_info=True)
            response = failed()
        if response is None:
            response = propose(native, request, s.policy, connection, connection.logger)
        if s.policy.server_header is not None and "Server" not in response.headers:
            response.headers["Server"] = s.policy.server_header
        try:
            if s.process_response is not None:
                return s.process_response(connection, request, response) or response
        except Exception:
            connection.logger.error("process_response failed", exc_info=True)
            return failed()
        return response

    def _handle(self, connection: ServerConnection) -> None:
        connection.logger.info("connection open")
        if self._closing is not None:
            connection._close_now(*self._closing)
        try:
            self._settings.handler(connection)
        except Exception:
            connection.logger.error("connection handler failed", exc_info=True)
            connection.close(CloseCode.INTERNAL_ERROR)
        except BaseException:
            connection._close_now(CloseCode.INTERNAL_ERROR, "")
            raise
        else:
            connection.close()

    # The end.

    def shutdown(
        self,
        close_connections: bool = True,
        code: CloseCode | int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Accept no more connections, and wait until all handlers have returned.

        `close_connections`: close those that are open, with `code` and `reason`, and refuse those
        that are opening with 503; or else wait until they end by themselves.  May be called more
        than once.  The handler that calls it is not waited for.  Raises ProtocolError for a code
        or a reason that cannot be sent.
        """
        check_close(code, reason)
        first = not self._shut
        if first:
            self.logger.info("server closing")
        self._shut = True
        if self._listener is not None:
            self._listener.close()
        self.socket.close()
        self._requests.put(None)
        if close_connections:
            self._closing = (int(code), reason)
            for connection in self._all.copy():
                connection._close_now(int(code), reason)
        me = threading.get_ident()
        self._idle.wait_for(lambda: all(who == me for who in list(self._active.values())))
        self._close_native()
        if first:
            self.logger.info("server closed")

    def _close_native(self) -> None:
        """The last one to leave ends what the library has for the server."""
        if not self._shut or self._active:
            return
        pass_turn(self._loop)  # or else refusals would be cut off
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()


def _try_respond(native: _core.Request, status: int) -> None:
    try:
        native.respond(status)
    except _core.Error:
        pass  # it was answered after all, or the client has left


def serve(
    handler: Callable[[ServerConnection], None],
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    ssl: SSL = None,
    origins: Sequence[Origin | str | re.Pattern[str] | None] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: SelectSubprotocol | None = None,
    compression: str | None = "deflate",
    process_request: ProcessRequest | None = None,
    process_response: ProcessResponse | None = None,
    server_header: str | None = SERVER,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: type[ServerConnection] | None = None,
    **kwargs: Any,
) -> Server:
    """Listen on `host` and `port`, and call `handler` with each connection, in its own thread.

        with serve(echo, "localhost", 8765) as server:
            server.serve_forever()

    The connection is closed when the handler returns, with 1000, or raises, with 1011; what it
    raises is logged.

    sock: a bound socket to use instead of host and port.
    ssl: an ssl.SSLContext or a libws.TLS with a certificate.
    origins: acceptable Origin headers, str or patterns, None in the list: no header.
    subprotocols: in order of preference; select_subprotocol(connection, offered) chooses instead,
        and returns one of them or None, or raises NegotiationError.
    process_request(connection, request): returns None to go on, or the Response to send instead.
    process_response(connection, request, response): may change the response, or return another.
    server_header: value of the Server header, None: as the library has it.
    logger: instead of logging.getLogger("libws.server").
    create_connection: a subclass of ServerConnection.
    Others as in libws.sync.client.connect; further arguments are those of socket.create_server.

    Raises OSError (the address), ValueError and TypeError (other arguments).
    """
    config = connection_config(
        compression=compression,
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
        max_size=max_size,
        write_limit=write_limit,
    )
    tls = server_tls(ssl)
    policy = Policy(
        origins=origins,
        subprotocols=subprotocols,
        select_subprotocol=select_subprotocol,
        server_header=server_header,
    )
    log = logger if logger is not None else logging.getLogger("libws.server")
    limits, low = queue_limits(max_queue), write_limits(write_limit)[1]
    kind = create_connection or ServerConnection
    loop = shared_loop()

    def factory() -> ServerConnection:
        return kind(loop, max_queue=limits, write_low=low, logger=log)

    settings = _Settings(handler, policy, process_request, process_response, factory)
    listening = _listening_socket(host, port, sock, kwargs)
    return Server(loop, listening, tls, config, settings, log)


def _listening_socket(
    host: str | None, port: int | None, sock: socket.socket | None, kwargs: dict[str, Any]
) -> socket.socket:
    path = kwargs.pop("path", None)
    if sock is not None:
        if host is not None or port is not None or path is not None:
            raise ValueError("host, port and path are incompatible with sock")
        return _listen.check_given(sock)
    if path is not None:
        return _listen.bind_unix(path, **kwargs)
    created = socket.create_server((host or "", port or 0), **kwargs)
    created.setblocking(False)
    return created


def unix_serve(
    handler: Callable[[ServerConnection], None],
    path: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> Server:
    """Listen on the unix socket `path`; other arguments: as serve."""
    if path is not None:
        kwargs["path"] = path
    elif kwargs.get("sock") is None:
        raise ValueError("unix_serve needs either path or sock")
    return serve(handler, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> ProcessRequest:
    """A process_request that asks for Basic authorization (RFC 7617) and sets `username`.

    `credentials`: user and password, or several such pairs; or check_credentials(user, password)
    decides.  Raises ValueError, TypeError.
    """
    if (credentials is None) == (check_credentials is None):
        raise ValueError("basic_auth needs either credentials or check_credentials")
    check = credential_check(credentials) if credentials is not None else check_credentials
    assert check is not None

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        pair = presented(request, realm)
        if isinstance(pair, Response):
            return pair
        if not check(*pair):
            return challenge(realm, "Invalid")
        connection.username = pair[0]
        return None

    return process_request
