"""Every exception that the package raises on account of the network or of its misuse.

    WebSocketException
        ConnectionClosed            recv and send: the connection has ended
            ConnectionClosedOK      1000, 1001 or no code, both ways
            ConnectionClosedError   anything else
        InvalidURI                  connect
        InvalidProxy
        InvalidHandshake            the opening handshake failed
            SecurityError           a limit of the HTTP head was met
                RequestLineTooLong  StatusLineTooLong  HeaderLineTooLong  TooManyHeaders
            ProxyError              the proxy refused, or did not speak its protocol
                InvalidProxyMessage  InvalidProxyStatus
            InvalidMessage          not HTTP
            InvalidMethod
            InvalidProtocol
            InvalidStatus           the server answered something else than 101
            InvalidHeader
                InvalidHeaderFormat  InvalidHeaderValue  InvalidOrigin  InvalidUpgrade
            NegotiationError        subprotocol or extension
                DuplicateParameter  InvalidParameterName  InvalidParameterValue
        ProtocolError               what RFC 6455 forbids
        PayloadTooBig               a message above max_size
        TooManyFragments
        InvalidState                a call that the state of the connection does not allow
        ConcurrencyError            two calls that cannot go on at once
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import frames, http11

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HeaderLineTooLong",
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
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "RequestLineTooLong",
    "SecurityError",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]


class WebSocketException(Exception):
    """Base of all of them."""


class ConnectionClosed(WebSocketException):
    """The connection has ended, or its closing handshake has begun.

    `rcvd`, `sent`: the Close frames that went each way, or None.
    `rcvd_then_sent`: whether the peer's came first; None unless there are both.
    `__cause__`: what went wrong, when something did.
    """

    def __init__(
        self,
        rcvd: frames.Close | None,
        sent: frames.Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        if (rcvd_then_sent is not None) != (rcvd is not None and sent is not None):
            raise ValueError("rcvd_then_sent goes with both rcvd and sent, and with nothing less")
        super().__init__(rcvd, sent, rcvd_then_sent)
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent

    def __str__(self) -> str:
        received, sent = f"received {self.rcvd}", f"sent {self.sent}"
        if self.rcvd is None:
            if self.sent is None:
                return "connection lost: no Close frame was sent or received"
            return f"{sent}, received no Close frame"
        if self.sent is None:
            return f"{received}, sent no Close frame"
        return f"{received}, then {sent}" if self.rcvd_then_sent else f"{sent}, then {received}"

    @property
    def code(self) -> int:
        """The code that was received: 1005 if the Close had none, 1006 if there was no Close."""
        return 1006 if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The reason that was received, or ""."""
        return "" if self.rcvd is None else self.rcvd.reason


class ConnectionClosedOK(ConnectionClosed):
    """It ended as it should: both Close frames say 1000, 1001 or nothing."""


class ConnectionClosedError(ConnectionClosed):
    """It ended with an error: another code, or without Close frames both ways."""


class InvalidURI(WebSocketException):
    """`uri` cannot be connected to; `msg` says why."""

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri}: {self.msg}"


class InvalidProxy(WebSocketException):
    """`proxy` cannot be used as one; `msg` says why."""

    def __init__(self, proxy: str, msg: str) -> None:
        super().__init__(proxy, msg)
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"proxy {self.proxy}: {self.msg}"


class InvalidHandshake(WebSocketException):
    """Base of what can be wrong with an opening handshake."""


class SecurityError(InvalidHandshake):
    """A rule of this side, made for its safety, was broken."""


class RequestLineTooLong(SecurityError):
    """The first line of an HTTP request is longer than allowed."""


class StatusLineTooLong(SecurityError):
    """The first line of an HTTP response is longer than allowed."""


class HeaderLineTooLong(SecurityError):
    """A header of an HTTP message is longer than allowed."""


class TooManyHeaders(SecurityError):
    """An HTTP message has more headers than allowed."""


class ProxyError(InvalidHandshake):
    """The proxy refused to connect, or did not speak its protocol."""


class InvalidProxyMessage(ProxyError):
    """What the proxy answered is not HTTP."""


class InvalidProxyStatus(ProxyError):
    """An HTTP proxy refused; `response` is its answer."""

    def __init__(self, response: http11.Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"the proxy answered HTTP {self.response.status_code:d}"


class InvalidMessage(InvalidHandshake):
    """What the peer sent is not HTTP, or it ended too early."""


class InvalidMethod(InvalidHandshake):
    """A request that is not GET; `method` is what it is."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method

    def __str__(self) -> str:
        return f"the method is {self.method}, not GET"


class InvalidProtocol(InvalidHandshake):
    """A request that is not HTTP/1.1; `protocol` is what it is."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol = protocol

    def __str__(self) -> str:
        return f"the protocol is {self.protocol}, not HTTP/1.1"


class InvalidStatus(InvalidHandshake):
    """The server refused; `response` is its answer, with the first 64 KiB of its body."""

    def __init__(self, response: http11.Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"the server answered HTTP {self.response.status_code:d}"


class InvalidHeader(InvalidHandshake):
    """The header `name` is missing (`value` is None), empty, or wrong."""

    def __init__(self, name: str, value: str | None = None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"the {self.name} header is missing"
        if self.value == "":
            return f"the {self.name} header is empty"
        return f"the {self.name} header is not acceptable: {self.value}"


class InvalidHeaderFormat(InvalidHeader):
    """A header that cannot be parsed: `error`, at character `pos` of `header`."""

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        super().__init__(name, f"{error}, at character {pos} of {header}")
        self.args = (name, error, header, pos)


class InvalidHeaderValue(InvalidHeader):
    """A header whose value makes no sense or cannot be sent."""


class InvalidOrigin(InvalidHeader):
    """A server does not serve pages of this origin."""

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)
        self.args = (origin,)


class InvalidUpgrade(InvalidHeader):
    """The Upgrade or Connection header does not ask for (or agree to) WebSocket."""


class NegotiationError(InvalidHandshake):
    """The two sides do not agree on a subprotocol or an extension."""


class DuplicateParameter(NegotiationError):
    """A parameter of an extension was given twice."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the parameter {self.name} was given twice"


class InvalidParameterName(NegotiationError):
    """A parameter that the extension does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no parameter {self.name}"


class InvalidParameterValue(NegotiationError):
    """A parameter of an extension has a value that it cannot have; None: none at all."""

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"the parameter {self.name} has no value"
        if self.value == "":
            return f"the parameter {self.name} is empty"
        return f"the parameter {self.name} cannot be {self.value}"


class ProtocolError(WebSocketException):
    """Something that RFC 6455 forbids."""


class PayloadTooBig(WebSocketException):
    """A message is larger than `max_size` bytes; a text instead of the size says it all."""

    def __init__(
        self,
        size_or_message: int | None | str,
        max_size: int | None = None,
        current_size: int | None = None,
    ) -> None:
        super().__init__(size_or_message, max_size, current_size)
        self.message = size_or_message if isinstance(size_or_message, str) else None
        self.size = size_or_message if isinstance(size_or_message, int) else None
        self.max_size = max_size
        self.current_size = current_size

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        size = "more" if self.size is None else f"{self.size:d} bytes"
        after = "" if self.current_size is None else f" after {self.current_size:d} bytes"
        limit = "" if self.max_size is None else f"; the limit is {self.max_size:d} bytes"
        return f"a message of {size}{after}{limit}"


class TooManyFragments(WebSocketException):
    """A message came in more than `max_fragments` frames."""

    def __init__(self, max_fragments: int) -> None:
        super().__init__(max_fragments)
        self.max_fragments = max_fragments

    def __str__(self) -> str:
        return f"a message in more than {self.max_fragments:d} frames"


class InvalidState(WebSocketException, AssertionError):
    """The state of the connection does not allow this call."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two calls that cannot go on at once, such as two recv() of one connection."""
