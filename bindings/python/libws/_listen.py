"""Listening sockets, made by Python and given to the extension module.

Shared by libws.asyncio and libws.sync.  The Python objects stay for their addresses; the module
accepts on a duplicate of the descriptor.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterable
from typing import Any

from . import _core

# What getaddrinfo gives.
AddressInfo = tuple[int, int, int, str, Any]


def bind_all(
    infos: Iterable[AddressInfo],
    *,
    backlog: int = 100,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
) -> list[socket.socket]:
    """A listening TCP socket for each address; OSError names the one that cannot be had.

    `reuse_address` defaults to True where that only means not to wait for old connections.
    """
    if reuse_address is None:
        reuse_address = os.name == "posix" and sys.platform != "cygwin"
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in dict.fromkeys(infos):
            try:
                sockets.append(sock := socket.socket(family, socket.SOCK_STREAM))
            except OSError:
                continue  # a family that getaddrinfo knows and the system lacks
            _bind(sock, where, reuse_address, reuse_port)
            sock.listen(backlog)
        if not sockets:
            raise OSError("no address to listen on")
    except BaseException:
        close_all(sockets)
        raise
    return sockets


def _bind(
    sock: socket.socket, where: Any, reuse_address: bool, reuse_port: bool | None
) -> None:
    sock.setblocking(False)
    if reuse_address:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        # Or else the socket for all IPv4 addresses could not be bound beside it.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind(where)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(error.errno, f"cannot listen on {where[:2]!r}: {reason}") from None


def bind_unix(path: str | os.PathLike[str], *, backlog: int = 100) -> socket.socket:
    """A listening unix socket; one that another process left behind is replaced.

    A path that begins with a NUL is an abstract socket.
    """
    name = os.fspath(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if not name.startswith("\0"):
            _remove_stale(name)
        try:
            sock.bind(name)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OSError(error.errno, f"cannot listen on {name!r}: {reason}") from None
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(name: str) -> None:
    try:
        if stat.S_ISSOCK(os.stat(name).st_mode):
            os.remove(name)
    except FileNotFoundError:
        pass


def check_given(sock: socket.socket, backlog: int = 100) -> socket.socket:
    """A socket that the caller bound; made to listen if it does not yet."""
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"a stream socket was expected, got {sock!r}")
    sock.setblocking(False)
    sock.listen(backlog)
    return sock


def attach(
    server: _core.Server, sock: socket.socket, tls: _core.TLS | None = None
) -> _core.Listener:
    """Accept on `sock`, which stays the caller's to close."""
    descriptor = os.dup(sock.fileno())
    try:
        return server.listen(descriptor, tls)
    except BaseException:
        os.close(descriptor)
        raise


def close_all(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def name_of(sock: socket.socket) -> str:
    """For the log: "127.0.0.1:80", "[::1]:80" or a path."""
    where = sock.getsockname()
    if sock.family == socket.AF_INET:
        return f"{where[0]}:{where[1]}"
    if sock.family == socket.AF_INET6:
        return f"[{where[0]}]:{where[1]}"
    return str(where)
