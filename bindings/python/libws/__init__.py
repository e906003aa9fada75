"""WebSocket clients and servers: asyncio, threads (libws.sync) and callbacks (libws.core).

    async with libws.connect("wss://example.com/") as ws:
        await ws.send("hello")
        async for message in ws:
            ...

Everything here is loaded when it is first used: importing the package itself loads neither asyncio
nor ssl nor the extension module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# A plain list, for type checkers.
__all__ = [
    "ClientConnection",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Data",
    "DuplicateParameter",
    "ExtensionName",
    "ExtensionParameter",
    "HeaderLineTooLong",
    "Headers",
    "HeadersLike",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "LoggerLike",
    "Message",
    "MultipleValuesError",
    "NegotiationError",
    "Opcode",
    "Origin",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "Request",
    "RequestLineTooLong",
    "Response",
    "SecurityError",
    "Server",
    "ServerConnection",
    "State",
    "StatusLike",
    "StatusLineTooLong",
    "Subprotocol",
    "TLS",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
    "basic_auth",
    "broadcast",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]

if TYPE_CHECKING:
    from ._broadcast import broadcast as broadcast
    from ._core import TLS as TLS
    from ._core import Message as Message
    from ._core import __version__ as __version__
    from .asyncio.client import ClientConnection as ClientConnection
    from .asyncio.client import connect as connect
    from .asyncio.client import unix_connect as unix_connect
    from .asyncio.server import Server as Server
    from .asyncio.server import ServerConnection as ServerConnection
    from .asyncio.server import basic_auth as basic_auth
    from .asyncio.server import serve as serve
    from .asyncio.server import unix_serve as unix_serve
    from .datastructures import Headers as Headers
    from .datastructures import HeadersLike as HeadersLike
    from .datastructures import MultipleValuesError as MultipleValuesError
    from .exceptions import *
    from .frames import Close as Close
    from .frames import CloseCode as CloseCode
    from .frames import Opcode as Opcode
    from .http11 import Request as Request
    from .http11 import Response as Response
    from .protocol import State as State
    from .typing import Data as Data
    from .typing import ExtensionName as ExtensionName
    from .typing import ExtensionParameter as ExtensionParameter
    from .typing import LoggerLike as LoggerLike
    from .typing import Origin as Origin
    from .typing import StatusLike as StatusLike
    from .typing import Subprotocol as Subprotocol

# Where each name lives; what is not here but is a module of the package can be reached as an
# attribute too (libws.exceptions.InvalidURI).
_EXPORTS = {
    "_broadcast": "broadcast",
    "_core": "TLS Message __version__",
    "asyncio.client": "ClientConnection connect unix_connect",
    "asyncio.server": "Server ServerConnection basic_auth serve unix_serve",
    "datastructures": "Headers HeadersLike MultipleValuesError",
    "exceptions": (
        "ConcurrencyError ConnectionClosed ConnectionClosedError ConnectionClosedOK "
        "DuplicateParameter HeaderLineTooLong InvalidHandshake InvalidHeader "
        "InvalidHeaderFormat InvalidHeaderValue InvalidMessage InvalidMethod InvalidOrigin "
        "InvalidParameterName InvalidParameterValue InvalidProtocol InvalidProxy "
        "InvalidProxyMessage InvalidProxyStatus InvalidState InvalidStatus InvalidURI "
        "InvalidUpgrade NegotiationError PayloadTooBig ProtocolError ProxyError "
        "RequestLineTooLong SecurityError StatusLineTooLong TooManyFragments TooManyHeaders "
        "WebSocketException"
    ),
    "frames": "Close CloseCode Opcode",
    "http11": "Request Response",
    "protocol": "State",
    "typing": "Data ExtensionName ExtensionParameter LoggerLike Origin StatusLike Subprotocol",
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names.split()}
_MODULES = frozenset(
    "asyncio core datastructures exceptions frames http11 integrations protocol sync typing".split()
)



def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None and name not in _MODULES:
        raise AttributeError(f"module 'libws' has no attribute {name!r}")
    from importlib import import_module

    if home is None:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
