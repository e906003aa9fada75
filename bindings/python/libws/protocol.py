"""The states of a connection (RFC 6455 4.1, 7.1)."""

from __future__ import annotations

import enum

__all__ = ["State"]


class State(enum.IntEnum):
    """How far a connection is in its life; it only goes forward.

    The numbers are those of the extension module.
    """

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3
