"""connect(): a client connection for asyncio, once or again and again."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from .. import _core
from .._failures import connect_failed, refused_client, response
from .._handshake import sent_request
from .._options import (
    USER_AGENT,
    client_tls,
    connection_config,
    parse_uri,
    proxy_options,
    queue_limits,
    request_fields,
    subprotocol_list,
)
from ..exceptions import InvalidMessage, InvalidStatus
from . import _loop
from .connection import Connection, _pack_response

if TYPE_CHECKING:
    import ssl as ssl_module

    from ..datastructures import HeadersLike
    from ..http11 import Request
    from ..typing import LoggerLike, Origin, Subprotocol

__all__ = ["ClientConnection", "backoff", "connect", "process_exception", "unix_connect"]

_MAX_REDIRECTS = 10
_RETRYABLE_STATUSES = (500, 502, 503, 504)

# Delays of backoff, in seconds: the first is random, so that clients do not come back together.
_FIRST_DELAY_S = 5.0
_NEXT_DELAY_S = 3.0
_MAX_DELAY_S = 60.0
_GROWTH = 1.6

# Arguments of loop.create_connection that name what happens inside the C library.
_NOT_OURS = {
    "all_errors": "the first error is reported",
    "extensions": "permessage-deflate is built in; choose with compression",
    "family": "both families are tried side by side (RFC 8305)",
    "flags": "both families are tried side by side (RFC 8305)",
    "happy_eyeballs_delay": "both families are always tried side by side (RFC 8305)",
    "interleave": "both families are always tried side by side (RFC 8305)",
    "local_addr": "bind a socket, connect it, and give it as sock",
    "proto": "connect a socket, and give it as sock",
    "proxy_server_hostname": "the proxy's certificate is for its own name",
    "ssl_handshake_timeout": "open_timeout is for all of opening",
    "ssl_shutdown_timeout": "close_timeout is for all of closing",
    "proxy_ssl_handshake_timeout": "open_timeout is for all of opening",
    "proxy_ssl_shutdown_timeout": "close_timeout is for all of closing",
}


class _Default:
    """The type of a default that no caller can give."""

    def __repr__(self) -> str:
        return "..."


_DEFAULT: Any = _Default()


class ClientConnection(Connection):
    """A connection that connect() has opened: see libws.asyncio.connection.Connection.

    A subclass can be given to connect as create_connection; it is called with the same arguments.
    """

    _opened: asyncio.Future[None] | None  # while connect() waits for it
    _asked: tuple[list[tuple[str, str]], list[str]] | None  # fields and subprotocols
    _url: str  # where it went in the end

    # Subclasses and applications may add attributes: the dictionary is made with the first.
    __slots__ = ("__dict__", "_asked", "_opened", "_url")

    def __init__(
        self,
        loop: _core.Loop,
        *,
        max_queue: tuple[int, int] | None = (16, 4),
        logger: LoggerLike,
    ) -> None:
        super().__init__(loop, max_queue=max_queue, logger=logger)
        self._opened = None
        self._asked = None
        self._url = ""

    @property
    def request(self) -> Request | None:
        """The request of the opening handshake, without what the library keeps to itself.

        That is Sec-WebSocket-Key and Sec-WebSocket-Extensions.
        """
        if self._request is None and self._asked is not None and self._url:
            self._request = sent_request(self._url, *self._asked)
            self._asked = None
        return super().request

    def _on_open(self) -> None:
        client = self._client
        assert client is not None
        self._url = client.url
        if (answer := client.response) is not None:
            self._response = _pack_response(response(answer))
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _on_failed(self, error: int, detail: str, sys_errno: int, http_status: int) -> None:
        if self._opened is None or self._opened.done():
            return
        answer = None if self._client is None else self._client.response
        self._opened.set_exception(connect_failed(error, detail, sys_errno, http_status, answer))


def backoff() -> Generator[float, None, None]:
    """Delays in seconds between attempts: up to 5 s at random, then 3 s growing to 60 s."""
    yield random.random() * _FIRST_DELAY_S
    delay = _NEXT_DELAY_S
    while delay < _MAX_DELAY_S:
        yield delay
        delay *= _GROWTH
    while True:
        yield _MAX_DELAY_S


def process_exception(exc: Exception) -> Exception | None:
    """Whether a failed attempt may be tried again: None if so, else what to raise.

    Tried again: OSError (of the network, time-outs among them), a server that hung up before it
    answered, and HTTP 500, 502, 503 and 504.
    """
    if isinstance(exc, (OSError, TimeoutError, asyncio.TimeoutError)):
        return None
    if isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError):
        return None
    if isinstance(exc, InvalidStatus) and exc.response.status_code in _RETRYABLE_STATUSES:
        return None
    return exc


class connect:
    """Open a connection to the WebSocket server at `uri`.

        async with connect(uri) as ws: ...      closed at the end of the block
        ws = await connect(uri)                 closed by ws.close()
        async for ws in connect(uri): ...       a new one, with back-off, whenever the body ends

    uri: ws://, wss://, ws+unix:// or wss+unix://, see libws/client.h.
    origin: value of the Origin header.
    subprotocols: names, in order of preference.
    compression: "deflate" to offer permessage-deflate, None not to.  "deflate" is the mode
        "shared": each message is compressed for itself, and the connection needs no memory for it;
        only that a server's messages may refer to earlier ones, if it does not say otherwise (up
        to 32 KiB a connection).
        "dedicated" lets messages refer to earlier ones: small messages of one kind get smaller, for
        about 45 KB a connection.
    additional_headers: a Headers, a mapping or pairs, added to the request.
    user_agent_header: None for no User-Agent.
    proxy: True for what the environment says (wss_proxy, https_proxy, ws_proxy, http_proxy,
        all_proxy, no_proxy; see libws/client.h), a URL, or None for none.  Neither a given socket
        nor a path goes through one.
    proxy_ssl: as ssl, for an https proxy.
    process_exception, reconnect_delays: for `async for`: see those functions.
    open_timeout: for all of opening, in seconds; TimeoutError.  None: for ever.
    ping_interval, ping_timeout: a peer that was silent for the one is pinged, and after the other
        without a sign of life the connection is ended; seconds, None: never.  A peer that sends is
        not pinged: what it sends proves that it lives.
    close_timeout: for all of closing, in seconds; then the connection is dropped.
    max_size: the longest message that is received, in bytes of payload, decompressed; a longer one
        closes the connection with 1009.  None: as long as memory allows.
    max_queue: when so many messages wait for recv, reading pauses, until a quarter is left; a pair
        gives both marks, None: never.
    write_limit: send waits while more bytes than this are queued, until a quarter is left; a pair
        gives both marks.
    logger: instead of logging.getLogger("libws.client").
    create_connection: a subclass of ClientConnection to make the connection of.
    ssl: True or left out for the system's roots, an ssl.SSLContext, or a libws.TLS; for wss only.
    server_hostname: the name to ask the server's certificate for, instead of the one in `uri`.
    host, port: where to connect to, instead of what `uri` says.
    sock: a connected stream socket to use; it is taken over.

    Errors: InvalidURI, InvalidProxy, TypeError and ValueError for the arguments; OSError
    (socket.gaierror, ConnectionRefusedError, ssl.SSLError...), TimeoutError, and InvalidHandshake
    or one of its kinds.  Up to 10 redirects are followed.
    """

    _was_used = True  # until it is made

    def __init__(
        self,
        uri: str,
        *,
        origin: Origin | str | None = None,
        subprotocols: Sequence[Subprotocol | str] | None = None,
        compression: str | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: int | None | tuple[int | None, int | None] = 2**20,
        max_queue: int | None | tuple[int | None, int | None] = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        ssl: ssl_module.SSLContext | _core.TLS | Literal[True] | None = _DEFAULT,
        proxy_ssl: ssl_module.SSLContext | _core.TLS | Literal[True] | None = None,
        server_hostname: str | None = None,
        host: str | None = None,
        port: int | None = None,
        sock: socket.socket | None = None,
        path: str | os.PathLike[str] | None = None,
        **unknown: Any,
    ) -> None:
        _refuse_unknown(unknown)
        target = parse_uri(uri)
        self.uri = uri
        self.logger = logging.getLogger("libws.client") if logger is None else logger
        self.process_exception = process_exception
        self.reconnect_delays = reconnect_delays
        self._connection: ClientConnection | None = None
        self._create_connection = create_connection or ClientConnection
        self._max_queue = queue_limits(max_queue)
        self._path = path
        self._sock = _stream_socket(sock)
        local = _is_local(sock, path, host, port)
        fields = request_fields(
            origin=origin,
            additional_headers=additional_headers,
            user_agent_header=user_agent_header,
        )
        self._request_parts = (fields, subprotocol_list(subprotocols))
        self._url = target.url
        self._config = connection_config(
            client=True,
            compression=compression,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            write_limit=write_limit,
        )
        self._proxy = proxy
        self._options: dict[str, Any] = {
            "headers": fields,
            "subprotocols": self._request_parts[1],
            "tls": _client_tls(ssl, target.secure),
            "tls_name": server_hostname,
            "connect_to": _connect_to(target.url, host, port),
            # A redirect leads elsewhere than to the socket that was given.
            "max_redirects": 0 if local else _MAX_REDIRECTS,
            **({} if local else proxy_options(proxy, proxy_ssl=proxy_ssl)),
        }
        self._was_used = False

    def __del__(self) -> None:
        if not self._was_used:
            text = f"connect({self.uri!r}) was never awaited"
            warnings.warn(text, RuntimeWarning, stacklevel=2, source=self)

    async def _open(self) -> ClientConnection:
        self._was_used = True
        core = _loop.current()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection = self._create_connection(core, max_queue=self._max_queue, logger=self.logger)
        connection._opened = opened
        connection._asked = self._request_parts
        client = await self._start(connection)
        try:
            await opened
        except BaseException:
            # Also when it has just opened: whoever was to close it will never see it.
            client.close()
            raise
        finally:
            connection._opened = None
        return connection

    async def _start(self, connection: ClientConnection) -> _core.Client:
        sock = self._sock if self._path is None else await _unix_socket(self._path)
        try:
            client = _core.Client(
                connection,
                self._url,
                self._config,
                fd=-1 if sock is None else sock.fileno(),
                **self._options,
            )
        except _core.Error as error:
            if sock is not None and sock is not self._sock:
                sock.close()
            raise refused_client(error, self.uri, self._proxy) from None
        if sock is not None:
            sock.detach()
        return client

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._connection is not None:
            raise RuntimeError("connect: this object has been entered already")
        self._connection = await self._open()
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.__aexit__(kind, error, traceback)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        delays: Generator[float, None, None] | None = None
        while True:
            try:
                connection = await self._open()
            except Exception as failure:
                if delays is None:
                    delays = self.reconnect_delays()
                await self._wait_to_retry(failure, delays)
                continue
            delays = None
            async with connection:
                yield connection

    async def _wait_to_retry(
        self, failure: Exception, delays: Generator[float, None, None]
    ) -> None:
        verdict = self.process_exception(failure)
        if verdict is failure:
            raise failure
        if verdict is not None:
            raise verdict from failure
        try:
            delay = next(delays)
        except StopIteration:
            # reconnect_delays has an end: that was the last attempt.
            raise failure from None
        self.logger.info("connecting failed, again in %.1f s: %s", delay, failure or repr(failure))
        await asyncio.sleep(delay)


def unix_connect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> connect:
    """connect() to a unix socket; `path` that begins with NUL is an abstract one.

    `uri` is what the request says: ws://localhost/, or wss://localhost/ if there is an `ssl`.
    """
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    if path is None and kwargs.get("sock") is None:
        raise ValueError("unix_connect: neither path nor sock was given")
    return connect(uri, path=path, **kwargs)


def _refuse_unknown(unknown: dict[str, Any]) -> None:
    for name, value in unknown.items():
        if name not in _NOT_OURS:
            raise TypeError(f"connect() got an unexpected keyword argument {name!r}")
        if value is not None:
            raise TypeError(f"connect() cannot honour {name}: {_NOT_OURS[name]}")


def _client_tls(ssl: Any, secure: bool) -> _core.TLS | None:
    if ssl is _DEFAULT:
        return None
    if ssl is None and secure:
        raise ValueError("ssl=None would leave out what a wss URI asks for")
    return client_tls(ssl, secure=secure)


def _is_local(sock: Any, path: Any, host: str | None, port: int | None) -> bool:
    """Whether there is nothing to look up and to dial."""
    local = sock is not None or path is not None
    if local and (host is not None or port is not None):
        raise ValueError("host and port cannot be given together with a socket or a path")
    return local


def _connect_to(url: str, host: str | None, port: int | None) -> str | None:
    if host is None and port is None:
        return None
    parts = urlsplit(url)
    host = host if host is not None else parts.hostname or ""
    if port is None:
        port = parts.port or (443 if parts.scheme == "wss" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _stream_socket(sock: socket.socket | None) -> socket.socket | None:
    if sock is None:
        return None
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"sock must be a stream socket, not {sock!r}")
    if hasattr(sock, "do_handshake"):
        raise TypeError("sock must not be an SSLSocket: give the plain socket, and ssl")
    sock.setblocking(False)
    return sock


async def _unix_socket(path: str | os.PathLike[str]) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, os.fspath(path))
    except BaseException:
        sock.close()
        raise
    return sock
