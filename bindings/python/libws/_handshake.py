"""Requests and answers of the opening handshake; above all, which answer a server gives.

Shared by libws.asyncio and libws.sync; nothing here waits.  The library has already refused what
is not well-formed; what is decided here is policy.  The steps of both layers:

    request = read_request(native)
    response = process_request(...)             the application's, may wait
    response = response or propose(...)
    response = process_response(...) or response
    answer(native, connection, response)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from . import _core
from .datastructures import Headers
from .exceptions import InvalidHandshake, InvalidOrigin, InvalidUpgrade, NegotiationError
from .http11 import Request, Response

if TYPE_CHECKING:
    from .typing import LoggerLike, Subprotocol

# Appended to the client's key before it is hashed (RFC 6455 1.3).
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_SWITCHING = HTTPStatus.SWITCHING_PROTOCOLS.value

# What the library writes itself, so that it cannot contradict the handshake.
_OWN_FIELDS = ("connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade")
_OWN_PREFIX = "sec-websocket-"

_SEE_LOG = "This server failed to answer the request; its log says why.\n"

SelectSubprotocol = Callable[[Any, "Sequence[Subprotocol]"], "Subprotocol | None"]


class Policy:
    """What serve was told about requests.

    `origins`: str, patterns, and None for "no Origin"; None as a whole admits all.
    """

    __slots__ = ("origins", "select_subprotocol", "server_header", "subprotocols")

    def __init__(
        self,
        *,
        origins: Sequence[str | re.Pattern[str] | None] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        server_header: str | None = None,
    ) -> None:
        if isinstance(subprotocols, str):
            raise TypeError("subprotocols must be a list, not a str")
        if isinstance(origins, str):
            raise TypeError("origins must be a list, not a str")
        self.origins = origins
        self.subprotocols = subprotocols
        self.select_subprotocol = select_subprotocol
        self.server_header = server_header


def read_request(native: _core.Request) -> Request:
    """The request as the object that applications see."""
    return Request(native.target, Headers(native.headers), native.method)


def sent_request(
    url: str, fields: list[tuple[str, str]], subprotocols: Sequence[str]
) -> Request:
    """What a client asked for, without what the library keeps to itself (its key)."""
    parts = urlsplit(url)
    headers = Headers(
        [
            ("Host", parts.netloc.rpartition("@")[2]),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
        ]
    )
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    headers.update(fields)
    query = f"?{parts.query}" if parts.query else ""
    return Request(f"{parts.path or '/'}{query}", headers)


def propose(
    native: _core.Request, request: Request, policy: Policy, connection: Any, logger: LoggerLike
) -> Response:
    """The 101 for a request that may come in, or the refusal."""
    try:
        if not native.is_upgrade:
            raise InvalidUpgrade("Upgrade", ", ".join(request.headers.get_all("Upgrade")) or None)
        _check_origin(request, policy)
        subprotocol = _choose_subprotocol(request, policy, connection)
    except InvalidOrigin as error:
        return reject(HTTPStatus.FORBIDDEN, f"No WebSocket connection: {error}.\n")
    except InvalidUpgrade as error:
        response = reject(
            HTTPStatus.UPGRADE_REQUIRED,
            f"This is a WebSocket server, and the request asks for something else: {error}.\n",
        )
        response.headers["Upgrade"] = "websocket"
        return response
    except InvalidHandshake as error:
        return reject(HTTPStatus.BAD_REQUEST, f"No WebSocket connection: {error}.\n")
    except Exception:
        logger.error("opening handshake failed", exc_info=True)
        return failed()
    return _switching(request, subprotocol)


def _check_origin(request: Request, policy: Policy) -> None:
    if policy.origins is None:
        return
    values = request.headers.get_all("Origin")
    origin = ", ".join(values) if values else None
    for allowed in policy.origins:
        if isinstance(allowed, re.Pattern):
            if origin is not None and allowed.fullmatch(origin):
                return
        elif allowed == origin:
            return
    raise InvalidOrigin(origin)


def offered_subprotocols(request: Request) -> list[Subprotocol]:
    """What the client offered, in its order of preference."""
    names = (
        item.strip(" \t")
        for line in request.headers.get_all("Sec-WebSocket-Protocol")
        for item in line.split(",")
    )
    return cast("list[Subprotocol]", [name for name in names if name])


def _choose_subprotocol(request: Request, policy: Policy, connection: Any) -> Subprotocol | None:
    offered = offered_subprotocols(request)
    if policy.select_subprotocol is not None:
        return policy.select_subprotocol(connection, offered)
    if not policy.subprotocols or not offered:
        return None
    for name in policy.subprotocols:
        if name in offered:
            return name
    served = ", ".join(policy.subprotocols)
    raise NegotiationError(f"none of the subprotocols offered is among {served}")


def _switching(request: Request, subprotocol: str | None) -> Response:
    key = ", ".join(request.headers.get_all("Sec-WebSocket-Key"))
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    headers = Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", base64.b64encode(digest).decode()),
        ]
    )
    if subprotocol is not None:
        headers["Sec-WebSocket-Protocol"] = subprotocol
    return Response(_SWITCHING, "Switching Protocols", headers)


def reject(status: HTTPStatus | int, text: str) -> Response:
    """A plain text answer instead of the upgrade."""
    status = HTTPStatus(status)
    body = text.encode()
    headers = Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", "text/plain; charset=utf-8"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)


def failed() -> Response:
    """The answer when a callback of the application raised; the log has the reason."""
    return reject(HTTPStatus.INTERNAL_SERVER_ERROR, _SEE_LOG)


def shutting_down() -> Response:
    return reject(HTTPStatus.SERVICE_UNAVAILABLE, "This server is about to stop.\n")


def is_switching(response: Response) -> bool:
    """Whether the answer opens a connection."""
    return response.status_code == _SWITCHING


def answer(native: _core.Request, connection: _core.Connection, response: Response) -> None:
    """Send the response; with a 101, connection._on_open follows from a turn.

    Errors: _core.Error, ERR_CLOSED when the peer has gone meanwhile.
    """
    fields = [
        (name, value)
        for name, value in response.headers.raw_items()
        if not _is_own(name.lower())
    ]
    if is_switching(response):
        chosen = response.headers.get_all("Sec-WebSocket-Protocol")
        native.accept(connection, chosen[0] if chosen else None, fields)
    else:
        native.respond(response.status_code, fields, bytes(response.body or b""))


def _is_own(name: str) -> bool:
    return name in _OWN_FIELDS or name.startswith(_OWN_PREFIX)


def parse_basic(authorization: str) -> tuple[str, str] | None:
    """User and password of a Basic authorization (RFC 7617), None if it is not one."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True).decode()
    except ValueError:
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def challenge(realm: str, why: str) -> Response:
    """401 that asks for Basic authorization."""
    response = reject(HTTPStatus.UNAUTHORIZED, f"{why} credentials\n")
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    response.headers["WWW-Authenticate"] = f'Basic realm="{quoted}", charset="UTF-8"'
    return response


def presented(request: Request, realm: str) -> tuple[str, str] | Response:
    """The credentials of a request, or the answer that asks for them."""
    values = request.headers.get_all("Authorization")
    if not values:
        return challenge(realm, "Missing")
    pair = parse_basic(values[0])
    return challenge(realm, "Unsupported") if pair is None else pair


def credential_check(
    credentials: tuple[str, str] | Iterable[tuple[str, str]],
) -> Callable[[str, str], bool]:
    """Whether a user and a password are among `credentials`, a pair or several."""
    pairs: list[Any] = [credentials] if _is_pair(credentials) else _list_of(credentials)
    if not all(map(_is_pair, pairs)):
        raise TypeError(f"invalid credentials argument: {credentials!r}")
    known = {user: password.encode(errors="surrogateescape") for user, password in pairs}

    def check(user: str, password: str) -> bool:
        expected = known.get(user)
        given = password.encode(errors="surrogateescape")
        return expected is not None and hmac.compare_digest(expected, given)

    return check


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(part, str) for part in value)
    )


def _list_of(credentials: object) -> list[Any]:
    if isinstance(credentials, str) or not isinstance(credentials, Iterable):
        raise TypeError(f"invalid credentials argument: {credentials!r}")
    return list(credentials)
