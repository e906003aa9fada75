"""Types that the signatures of this package name."""

from __future__ import annotations

import http
import logging
from typing import TYPE_CHECKING, Any, NewType

__all__ = [
    "BytesLike",
    "Data",
    "DataLike",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "StatusLike",
    "Subprotocol",
]

Data = str | bytes
"""What a message is received as: str for text, bytes for binary."""

BytesLike = bytes | bytearray | memoryview
"""What has the buffer protocol; other types that have it are accepted too."""

DataLike = str | bytes | bytearray | memoryview
"""What a message can be sent from."""

if TYPE_CHECKING:
    LoggerLike = logging.Logger | logging.LoggerAdapter[Any]
else:
    LoggerLike = logging.Logger | logging.LoggerAdapter
"""A logger, or an adapter of one."""

StatusLike = http.HTTPStatus | int
"""An HTTP status code."""

Origin = NewType("Origin", str)
"""Value of an Origin header (RFC 6454 7)."""

Subprotocol = NewType("Subprotocol", str)
"""Name of a subprotocol (RFC 6455 1.9)."""

ExtensionName = NewType("ExtensionName", str)
"""Name of an extension (RFC 6455 9.1)."""

ExtensionParameter = tuple[str, str | None]
"""Name and value of a parameter of an extension; None: it has no value."""
