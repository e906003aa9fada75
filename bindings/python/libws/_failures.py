"""From the errors of the extension module to the exceptions of libws.exceptions.

Shared by libws.asyncio and libws.sync.
"""

from __future__ import annotations

from typing import Any

from . import _core
from .exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
    ProxyError,
)
from .frames import Close
from .http11 import Response

# What _core.Connection.close_info gives.
CloseInfo = tuple[int, int, int, bool, bool, str, str]
# What _core.Client.response gives.
ClientResponse = tuple[int, list[tuple[str, str]], bytes]

_ABNORMAL = 1006
_FINE = (1000, 1001, 1005)

_NETWORK = (_core.ERR_IO, _core.ERR_CONNECT, _core.ERR_ADDR)


def connection_closed(info: CloseInfo | None, sent_reason: str = "") -> ConnectionClosed:
    """What recv and send raise once the connection is CLOSED; `sent_reason` as given to close."""
    if info is None:
        return ConnectionClosedError(None, None, None)
    error, code, sent_code, clean, by_peer, reason, detail = info
    rcvd = None if code == _ABNORMAL else Close(code, reason)
    sent = None if sent_code == 0 else Close(sent_code, _own_reason(info, sent_reason))
    order = by_peer if rcvd is not None and sent is not None else None
    if rcvd is not None and sent is not None and code in _FINE and sent_code in _FINE:
        return ConnectionClosedOK(rcvd, sent, order)
    closed = ConnectionClosedError(rcvd, sent, order)
    if error != 0:
        closed.__cause__ = _cause(error, detail)
    return closed


def _own_reason(info: CloseInfo, sent_reason: str) -> str:
    _, code, sent_code, _, by_peer, reason, _ = info
    return reason if by_peer and code == sent_code else sent_reason


def _cause(error: int, detail: str) -> Exception:
    """What an established connection died of."""
    if error == _core.ERR_TIMEOUT:
        return TimeoutError(detail)
    if error == _core.ERR_EOF:
        return EOFError(detail)
    if error in (_core.ERR_PROTOCOL, _core.ERR_UTF8, _core.ERR_DEFLATE):
        return ProtocolError(detail)
    if error == _core.ERR_TOO_BIG:
        return PayloadTooBig(detail)
    if error in (_core.ERR_TLS, _core.ERR_TLS_VERIFY):
        return _tls_error(error, detail)
    return ConnectionError(detail)


def close_code(info: CloseInfo | None) -> int | None:
    """The code received, 1005 or 1006 in place of one; None until the connection is CLOSED."""
    return None if info is None else info[1]


def close_reason(info: CloseInfo | None) -> str | None:
    """The reason received; None until the connection is CLOSED."""
    return None if info is None else info[5]


def connect_failed(
    error: int,
    detail: str,
    sys_errno: int = 0,
    http_status: int = 0,
    answer: ClientResponse | None = None,
) -> Exception:
    """Why a client's attempt failed: the arguments of _core.Connection._on_failed, and the
    answer of the server, _core.Client.response, if there was one."""
    if error == _core.ERR_TIMEOUT:
        return TimeoutError(detail)
    if error == _core.ERR_DNS:
        import socket

        return socket.gaierror(sys_errno or socket.EAI_NONAME, detail)
    if error in _NETWORK:
        return OSError(sys_errno, detail) if sys_errno else ConnectionError(detail)
    if error in (_core.ERR_TLS, _core.ERR_TLS_VERIFY, _core.ERR_TLS_CONFIG):
        return _tls_error(error, detail)
    if error == _core.ERR_PROXY:
        return _proxy_failure(detail, http_status, answer)
    if error in (_core.ERR_EOF, _core.ERR_HTTP, _core.ERR_TOO_BIG):
        message = InvalidMessage(f"no HTTP response from the server: {detail}")
        # The server may only have been restarting: worth another attempt.
        message.__cause__ = EOFError(detail) if error == _core.ERR_EOF else None
        return message
    if error == _core.ERR_HTTP_STATUS and answer is not None:
        return InvalidStatus(response(answer))
    if error == _core.ERR_HANDSHAKE:
        return _handshake_failure(detail, answer)
    if error in (_core.ERR_CANCELLED, _core.ERR_CLOSED):
        return ConnectionAbortedError(detail)
    return InvalidHandshake(detail)


def _proxy_failure(detail: str, http_status: int, answer: ClientResponse | None) -> Exception:
    if "not HTTP" in detail:
        return InvalidProxyMessage(detail)
    if answer is not None:
        return InvalidProxyStatus(response(answer))
    if http_status:
        return InvalidProxyStatus(response((http_status, [], b"")))
    return ProxyError(detail)


def _handshake_failure(detail: str, answer: ClientResponse | None) -> Exception:
    """A 101 that is none; `detail` names the field that is wrong."""
    fields = {} if answer is None else {name.lower(): value for name, value in answer[1]}
    for name in ("Upgrade", "Connection"):
        if f"{name} " in detail:
            return InvalidUpgrade(name, fields.get(name.lower()))
    if "Sec-WebSocket-Accept" in detail:
        return InvalidHeader("Sec-WebSocket-Accept", fields.get("sec-websocket-accept"))
    if "ubprotocol" in detail or "Sec-WebSocket-" in detail or "xtension" in detail:
        return NegotiationError(detail)
    return InvalidHandshake(detail)


def _tls_error(error: int, detail: str) -> Exception:
    import ssl

    if error == _core.ERR_TLS_VERIFY:
        return ssl.SSLCertVerificationError(1, detail)
    return ssl.SSLError(1, detail)


def response(answer: ClientResponse) -> Response:
    """The answer of a server or a proxy as the object that applications see."""
    from http import HTTPStatus

    from .datastructures import Headers

    status, fields, body = answer
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return Response(status, phrase, Headers(fields), body)


def refused_client(error: _core.Error, uri: str, proxy: Any = None) -> Exception:
    """Why _core.Client was not made; the library's text begins with what is wrong."""
    text = str(error)
    what, colon, why = text.partition(": ")
    if what == "url" and colon:
        return InvalidURI(uri, why)
    if what == "proxy" and colon:
        return InvalidProxy(str(proxy), why)
    if error.code == _core.ERR_TLS_CONFIG:
        return _tls_error(error.code, text)
    return ValueError(text)


def refused_call(error: _core.Error) -> Exception:
    """Why close, ping or pong was refused though the connection was open."""
    if error.code == _core.ERR_INVALID:
        return ProtocolError(str(error))
    return error
