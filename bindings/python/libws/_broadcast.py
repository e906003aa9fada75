"""One message to many connections, for asyncio and threads alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    from .typing import DataLike


def broadcast(
    connections: Iterable[Any],
    message: DataLike | _core.Message,
    *,
    text: bool | None = None,
    raise_exceptions: bool = False,
) -> None:
    """Send a message to all connections that are open, without waiting for any.

    It is framed once, and compressed once.  `text`: as for send.  Left out are connections in the
    middle of a message sent in fragments, and those with more than 16 MiB queued; that is logged,
    or with `raise_exceptions` (Python 3.11 and later) raised as an ExceptionGroup of RuntimeErrors
    when all others have been served.  Errors: TypeError, ValueError.
    """
    if raise_exceptions and sys.version_info < (3, 11):
        raise ValueError("raise_exceptions needs ExceptionGroup, which Python 3.11 brought")
    if not isinstance(message, _core.Message):
        message = _core.Message(message, text=text)
    failures: list[Exception] = []
    for connection, why in _core.broadcast(connections, message):
        if raise_exceptions:
            failures.append(RuntimeError(f"broadcast left out {connection!r}: {why}"))
        elif (logger := getattr(connection, "logger", None)) is not None:
            logger.warning("broadcast left out a connection: %s", why)
    if failures and sys.version_info >= (3, 11):
        raise ExceptionGroup("broadcast left out connections", failures)
