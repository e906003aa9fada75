"""serve(): a server for asyncio that runs a coroutine for each connection."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from .. import _core, _handshake
from .._listen import bind_all, bind_unix, check_given
from .._options import SERVER, connection_config, queue_limits, server_tls
from ..http11 import Request, Response
from ._server import Server, ServerConnection, settled
from .connection import broadcast

if TYPE_CHECKING:
    import ssl as ssl_module

    from ..typing import LoggerLike, Origin, Subprotocol
    from ._server import Handler, ProcessRequest, ProcessResponse, SelectSubprotocol

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

# Arguments of loop.create_server that name what happens inside the C library.
_NOT_OURS = {
    "extensions": "permessage-deflate is built in; choose with compression",
    "keep_alive": "ping_interval is for that",
    "ssl_handshake_timeout": "open_timeout is for all of opening",
    "ssl_shutdown_timeout": "close_timeout is for all of closing",
}


def serve(
    handler: Handler,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
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
    max_size: int | None | tuple[int | None, int | None] = 2**20,
    max_queue: int | None | tuple[int | None, int | None] = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
    ssl: ssl_module.SSLContext | _core.TLS | None = None,
    sock: socket.socket | None = None,
    family: int = socket.AF_UNSPEC,
    backlog: int = 100,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    start_serving: bool = True,
    **unknown: Any,
) -> Server:
    """Serve WebSocket connections on `host` and `port`: `handler(connection)` for each of them.

        async with serve(handler, "localhost", 8765) as server:
            await server.serve_forever()

    The handler is a coroutine function.  When it returns, its connection is closed with 1000; when
    it raises, that is logged and the connection closed with 1011.  It runs in a copy of the
    context (contextvars) that serve() was called in.

    host: a name or address, several, or None for all interfaces; port: 0 or None for any.
    origins: whose pages may connect: str, compiled patterns that match the whole Origin, and None
        for requests without one (browsers always send it).  Others get 403.  None, the default,
        lets *every page of the web* connect with its visitor's cookies: give the list if
        connections are authorized by cookies.
    subprotocols: those the server speaks, in order of preference; one of them must be offered if
        any is.
    select_subprotocol: called with the connection and what the client offers, instead.
    process_request: called with the connection and the request, plain HTTP requests too.  A
        Response that it returns is the answer; None goes on with the handshake.
    process_response: called with the connection, the request and the response that will be sent
        (101, or a refusal); may change it, or return another.
        These three may be coroutine functions, and open_timeout is for them too.
    server_header: None for no Server header.
    open_timeout: from accepting a connection until it is open, in seconds.  None: for ever.
    logger: instead of logging.getLogger("libws.server").
    create_connection: a subclass of ServerConnection to make connections of.
    ssl: an ssl.SSLContext or a libws.TLS with a certificate.
    sock: a bound socket to listen on, instead of host and port; it is taken over.
    family, backlog, reuse_address, reuse_port: as for loop.create_server.
    start_serving: False leaves it to start_serving() to accept connections.
    compression, ping_interval, ping_timeout, close_timeout, max_size, max_queue, write_limit: as
        for libws.asyncio.client.connect.

    What is neither a WebSocket handshake nor answered by process_request gets 426.
    Errors: TypeError, ValueError; when awaited OSError (the address cannot be had).
    """
    if sock is not None and (host is not None or port is not None):
        raise ValueError("host and port cannot be given together with sock")

    async def make_sockets() -> list[socket.socket]:
        if sock is not None:
            return [check_given(sock, backlog)]
        infos = await _resolve(host, port, family)
        return bind_all(
            infos, backlog=backlog, reuse_address=reuse_address, reuse_port=reuse_port
        )

    _refuse_unknown(unknown)
    return Server(
        handler,
        make_sockets,
        config=connection_config(
            compression=compression,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            write_limit=write_limit,
        ),
        policy=_handshake.Policy(
            origins=origins,
            subprotocols=subprotocols,
            select_subprotocol=cast(Any, select_subprotocol),
            server_header=server_header,
        ),
        tls=server_tls(ssl),
        process_request=process_request,
        process_response=process_response,
        open_timeout=open_timeout,
        max_queue=queue_limits(max_queue),
        logger=logging.getLogger("libws.server") if logger is None else logger,
        create_connection=create_connection or ServerConnection,
        start_serving=start_serving,
    )


def unix_serve(
    handler: Handler, path: str | os.PathLike[str] | None = None, **kwargs: Any
) -> Server:
    """serve() on a unix socket, which is made at `path`; an abstract one begins with NUL."""
    sock = kwargs.pop("sock", None)
    if (path is None) == (sock is None):
        raise ValueError("unix_serve: give either path or sock")
    backlog = kwargs.pop("backlog", 100)
    server = serve(handler, backlog=backlog, **kwargs)

    async def make_sockets() -> list[socket.socket]:
        if path is None:
            return [check_given(sock, backlog)]
        return [bind_unix(path, backlog=backlog)]

    server._make_sockets = make_sockets
    return server


def _refuse_unknown(unknown: dict[str, Any]) -> None:
    for name, value in unknown.items():
        if name not in _NOT_OURS:
            raise TypeError(f"serve() got an unexpected keyword argument {name!r}")
        if value is not None:
            raise TypeError(f"serve() cannot honour {name}: {_NOT_OURS[name]}")


async def _resolve(host: str | Sequence[str] | None, port: int | None, family: int) -> list[Any]:
    hosts: Sequence[str | None] = (
        [host or None] if host is None or isinstance(host, str) else [one or None for one in host]
    )
    loop = asyncio.get_running_loop()
    found = await asyncio.gather(
        *(
            loop.getaddrinfo(
                one, port or 0, family=family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for one in hosts
        )
    )
    return [info for infos in found for info in infos]


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], Awaitable[bool] | bool] | None = None,
) -> Callable[[ServerConnection, Request], Coroutine[Any, Any, Response | None]]:
    """A process_request that asks for Basic authorization (RFC 7617).

    `credentials`: a (user, password), or several.  `check_credentials`: a function or coroutine
    function that gets both and tells whether they are right.  One of the two must be given.
    The user's name becomes the attribute `username` of the connection.
    Errors: TypeError, ValueError.
    """
    if (credentials is None) == (check_credentials is None):
        raise ValueError("basic_auth: give either credentials or check_credentials")
    check: Callable[[str, str], Awaitable[bool] | bool]
    if credentials is not None:
        check = _handshake.credential_check(credentials)
    else:
        assert check_credentials is not None
        check = check_credentials

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        given = _handshake.presented(request, realm)
        if isinstance(given, Response):
            return given
        if not await settled(check(*given)):
            return _handshake.challenge(realm, "Invalid")
        connection.username = given[0]
        return None

    return process_request
