"""Connecting to a server from a thread."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import _core
from .._failures import connect_failed, refused_client, response
from .._handshake import sent_request
from .._options import (
    USER_AGENT,
    Target,
    client_tls,
    connection_config,
    parse_uri,
    proxy_options,
    queue_limits,
    request_fields,
    subprotocol_list,
    write_limits,
)
from ..datastructures import HeadersLike
from ._io import Deadline, shared_loop
from .connection import Connection

if TYPE_CHECKING:
    from .._options import SSL
    from ..typing import LoggerLike, Origin, Subprotocol

__all__ = ["ClientConnection", "connect", "unix_connect"]

_MAX_REDIRECTS = 10


class ClientConnection(Connection):
    """A connection that this side opened; what connect returns."""

    def __init__(self, loop: _core.Loop, **options: Any) -> None:
        super().__init__(loop, **options)
        self._url = ""  # the last one, after redirects
        self._opened = False
        self._failure: Exception | None = None

    # The client has an answer to tell of only during these two calls.

    def _on_open(self) -> None:
        client = self._client
        assert client is not None
        answer = client.response
        self.response = None if answer is None else response(answer)
        self._url = client.url
        self._opened = True
        self._signal.notify()

    def _on_failed(self, error: int, detail: str, sys_errno: int, http_status: int) -> None:
        client = self._client
        assert client is not None
        self._failure = connect_failed(error, detail, sys_errno, http_status, client.response)
        self._signal.notify()

    def _has_outcome(self) -> bool:
        return self._opened or self._failure is not None or self._is_closed()

    def _wait_open(self, client: _core.Client) -> None:
        """Until the attempt has come to something; raises what it failed with."""
        try:
            self._signal.wait_for(self._has_outcome)
        except BaseException:
            client.close()
            raise
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback refers to this frame
        if not self._opened:
            raise self._closed_error()


def connect(
    uri: str,
    *,
    sock: socket.socket | None = None,
    ssl: SSL = None,
    server_hostname: str | None = None,
    origin: Origin | str | None = None,
    subprotocols: Sequence[Subprotocol | str] | None = None,
    compression: str | None = "deflate",
    additional_headers: HeadersLike | None = None,
    user_agent_header: str | None = USER_AGENT,
    proxy: str | bool | None = True,
    proxy_ssl: SSL = None,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: type[ClientConnection] | None = None,
    **kwargs: Any,
) -> ClientConnection:
    """Connect to the server at `uri` (ws://, wss://) and wait until the connection is open.

        with connect("wss://example.com/") as websocket:
            websocket.send("hello")
            print(websocket.recv())

    sock: a connected stream socket to use; it belongs to the connection from now on.
    ssl: True, an ssl.SSLContext or a libws.TLS; None: the system's roots for wss.
    server_hostname: the name to ask for and verify instead of the URI's.
    origin, subprotocols, additional_headers, user_agent_header: of the request.
    compression: "deflate" offers permessage-deflate, None does not; "dedicated" lets messages
        refer to earlier ones, which takes memory.
    proxy: True: as the environment says (https_proxy...); None: none; str: its address.
    proxy_ssl: as ssl, for an https proxy.
    open_timeout, close_timeout: seconds for each handshake; None: for ever.
    ping_interval, ping_timeout: a ping after so many seconds of silence, and the end after so
        many more; None: no pings, no end.
    max_size: bytes of a message that comes; above, the connection is closed with 1009.
    max_queue: messages that may wait for recv before reading pauses, or a pair with the number at
        which it goes on; None: any number.
    write_limit: bytes that may wait to be written before send waits, or a pair likewise.
    logger: instead of logging.getLogger("libws.client").
    create_connection: a subclass of ClientConnection.
    address=(host, port), source_address=(host, port): to connect to and from, as in
        socket.create_connection.

    Raises InvalidURI, InvalidProxy, OSError, InvalidHandshake (InvalidStatus with the response),
    TimeoutError, ssl.SSLError; ValueError and TypeError for other arguments.
    """
    target = parse_uri(uri)
    deadline = Deadline(open_timeout)
    options: dict[str, Any] = {"max_redirects": _MAX_REDIRECTS, **proxy_options(proxy)}
    if proxy_ssl is not None:
        options.update(proxy_options(None, proxy_ssl=proxy_ssl))
    config = connection_config(
        client=True,
        compression=compression,
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
        max_size=max_size,
        write_limit=write_limit,
    )
    tls = client_tls(ssl, secure=target.secure)
    connection = (create_connection or ClientConnection)(
        shared_loop(),
        max_queue=queue_limits(max_queue),
        write_low=write_limits(write_limit)[1],
        logger=logger if logger is not None else logging.getLogger("libws.client"),
    )
    fields = request_fields(
        origin=origin, additional_headers=additional_headers, user_agent_header=user_agent_header
    )
    offered = subprotocol_list(subprotocols)
    own = _way(target, sock, deadline, options, kwargs)
    try:
        client = _core.Client(
            connection,
            target.url,
            config,
            headers=fields,
            subprotocols=offered,
            tls=tls,
            tls_name=server_hostname or None,
            fd=-1 if own is None else own.fileno(),
            **options,
        )
    except _core.Error as error:
        _close(own)
        raise refused_client(error, uri, proxy) from error
    if own is not None:
        own.detach()
    connection._wait_open(client)
    connection.request = sent_request(connection._url, fields, offered)
    return connection


def _close(sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()


def _way(
    target: Target,
    sock: socket.socket | None,
    deadline: Deadline,
    options: dict[str, Any],
    kwargs: dict[str, Any],
) -> socket.socket | None:
    """The socket to use if the library is not to make one; adds to the options otherwise."""
    path = kwargs.pop("path", None)
    where = kwargs.pop("address", None)
    source = kwargs.pop("source_address", None)
    if kwargs:
        raise TypeError(f"connect() got unexpected arguments: {', '.join(sorted(kwargs))}")
    if sock is None and path is not None:
        sock = _unix_socket(path, deadline)
    elif sock is None and source is not None:
        parts = urlsplit(target.url)
        where = where or (parts.hostname or "", parts.port or (443 if target.secure else 80))
        sock = socket.create_connection(where, deadline.left(), source)
    elif sock is None and where is not None:
        host, port = where[:2]
        options["connect_to"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if sock is not None:
        options["max_redirects"] = 0
        options.pop("proxy", None)
        options.pop("proxy_env", None)
        sock.setblocking(False)
    return sock


def _unix_socket(path: str | os.PathLike[str], deadline: Deadline) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(deadline.left())
        sock.connect(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    return sock


def unix_connect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> ClientConnection:
    """Connect to a server that listens on the unix socket `path`.

    `uri` is what the request says, ws://localhost/ by default, wss://localhost/ with `ssl`.
    Other arguments: as connect.
    """
    if (path is None) == (kwargs.get("sock") is None):
        raise ValueError("unix_connect needs either path or sock")
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    if path is not None:
        kwargs["path"] = path
    return connect(uri, **kwargs)
