"""From the keyword arguments of connect and serve to what the extension module takes.

Shared by libws.asyncio and libws.sync.  Nothing here does I/O.  What the caller got wrong is a
TypeError or a ValueError that names the argument, or InvalidURI, or InvalidProxy.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core
from .datastructures import Headers, HeadersLike
from .exceptions import InvalidProxy, InvalidURI

if TYPE_CHECKING:
    import ssl as ssl_module

    SSL = ssl_module.SSLContext | _core.TLS | bool | None

# What clients and servers call themselves unless told otherwise.
USER_AGENT = SERVER = (
    f"Python/{sys.version_info[0]}.{sys.version_info[1]} libws/{_core.__version__}"
)

# The largest time the library takes; what is longer is never reached by a program (24 days).
_MAX_MS = 2**31 - 1

_SCHEMES = ("ws", "wss", "ws+unix", "wss+unix")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h", "socks4a")
_COMPRESSIONS = ("deflate", "shared", "dedicated")


def milliseconds(name: str, seconds: float | None) -> int | None:
    """A time in milliseconds, rounded up so that only None means "no limit"."""
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None, not {_kind(seconds)}")
    if not seconds >= 0:
        raise ValueError(f"{name} must not be negative: {seconds}")
    if seconds * 1000 > _MAX_MS:
        return None
    return max(1, math.ceil(round(seconds * 1000, 6)))  # 0.07 is not 71 ms


def connection_config(
    *,
    compression: str | None,
    open_timeout: float | None,
    ping_interval: float | None,
    ping_timeout: float | None,
    close_timeout: float | None,
    max_size: int | tuple[int | None, int | None] | None,
    write_limit: int | tuple[int, int | None],
    client: bool = False,
) -> _core.Config:
    """The limits and times of a connection; all arguments are those of connect and serve."""
    interval = milliseconds("ping_interval", ping_interval)
    patience = milliseconds("ping_timeout", ping_timeout)
    # A peer that answers pings is never silent for longer than both together.  Without pings, or
    # without a limit for the answers, silence proves nothing.
    silence = None if interval is None or patience is None else min(interval + patience, _MAX_MS)
    high, low = write_limits(write_limit)
    return _core.Config(
        handshake_timeout_ms=milliseconds("open_timeout", open_timeout),
        ping_interval_ms=interval,
        idle_timeout_ms=silence,
        send_timeout_ms=silence,
        close_timeout_ms=milliseconds("close_timeout", close_timeout),
        max_message_bytes=_message_limit(max_size),
        send_high_bytes=high,
        send_low_bytes=low,
        # Each send waits above the high mark, so a sender adds one message at most; and that may
        # be as large as its memory allows.
        send_limit_bytes=None,
        **_deflate(compression, client),
    )


def _deflate(compression: str | None, client: bool) -> dict[str, Any]:
    """A client that says "deflate" also takes a server's messages that refer to earlier ones.

    Some servers answer no offer that forbids them to.
    """
    if compression is None:
        return {"deflate": "off"}
    if compression not in _COMPRESSIONS:
        raise ValueError(
            f"compression must be 'deflate', 'shared', 'dedicated' or None, not {compression!r}"
        )
    if compression == "deflate":
        return {"deflate": "shared", "deflate_recv": "dedicated" if client else "shared"}
    return {"deflate": compression}


def _message_limit(max_size: int | tuple[int | None, int | None] | None) -> int | None:
    """The longest message in bytes.

    A limit for fragments, the second of a pair, is not applied by itself: fragments are never
    longer than their message may be, and no memory is set aside for what was only announced.
    """
    limit = max_size[0] if isinstance(max_size, tuple) else max_size
    if isinstance(max_size, tuple) and limit is None and max_size[1] is not None:
        raise ValueError("max_size: a limit for fragments needs one for messages")
    if limit is None:
        return None
    if not isinstance(limit, int):
        raise TypeError(f"max_size must be a number of bytes or None, not {_kind(limit)}")
    if limit < 1:
        raise ValueError(f"max_size must be at least 1: {limit}")
    return limit


def write_limits(write_limit: int | tuple[int, int | None]) -> tuple[int, int]:
    """The high and the low mark in bytes; the low one is a quarter of the high one."""
    high, low = write_limit if isinstance(write_limit, tuple) else (write_limit, None)
    if low is None:
        low = high // 4
    if not 0 <= low <= high:
        raise ValueError(f"write_limit must be high >= low >= 0, not ({high}, {low})")
    # 0 would be the library's default; with 1, nothing at all may wait.
    return max(1, high), max(1, low)


def queue_limits(
    max_queue: int | tuple[int | None, int | None] | None,
) -> tuple[int, int] | None:
    """How many messages may wait for recv before reading pauses, and at how many it goes on."""
    high, low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)
    if high is None:
        return None
    if low is None:
        low = high // 4
    if not 0 <= low <= high:
        raise ValueError(f"max_queue must be high >= low >= 0, not ({high}, {low})")
    return high, low


class Target(NamedTuple):
    """Where to connect to."""

    url: str  # as the extension module takes it
    secure: bool


def parse_uri(uri: str) -> Target:
    """Check the scheme and convert an international host name; the library checks the rest."""
    if not isinstance(uri, str):
        raise TypeError(f"uri must be str, not {_kind(uri)}")
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in _SCHEMES:
        raise InvalidURI(uri, "the scheme is neither ws nor wss")
    if not scheme.endswith("unix"):
        rest = _ascii_host(uri, rest)
    return Target(f"{scheme}:{rest}", scheme.startswith("wss"))


def _ascii_host(uri: str, rest: str) -> str:
    """RFC 3490 for the host, so that the library sees the name that is looked up."""
    if rest.isascii() or not rest.startswith("//"):
        return rest
    end = min((at for c in "/?#" if (at := rest.find(c, 2)) >= 0), default=len(rest))
    user, at_sign, host = rest[2:end].rpartition("@")
    name, colon, port = host.partition(":")
    if name.isascii():
        return rest
    try:
        name = name.encode("idna").decode()
    except UnicodeError as error:
        raise InvalidURI(uri, f"host name cannot be converted: {error}") from error
    return f"//{user}{at_sign}{name}{colon}{port}{rest[end:]}"


def proxy_options(proxy: str | bool | None, *, proxy_ssl: SSL = None) -> dict[str, Any]:
    """The arguments of _core.Client about a proxy.

    True: what the environment says; None or False: none; str: its address.
    """
    options: dict[str, Any] = {}
    if proxy is True:
        options["proxy_env"] = True
    elif isinstance(proxy, str):
        if proxy.partition(":")[0].lower() not in _PROXY_SCHEMES:
            raise InvalidProxy(proxy, f"the scheme is none of {', '.join(_PROXY_SCHEMES)}")
        options["proxy"] = proxy
    elif proxy not in (None, False):
        raise TypeError(f"proxy must be True, None or str, not {_kind(proxy)}")
    if proxy_ssl is not None:
        options["proxy_tls"] = _tls("proxy_ssl", proxy_ssl)
    return options


def client_tls(ssl: SSL, *, secure: bool) -> _core.TLS | None:
    """None stands for the system's roots, verified."""
    if ssl is None:
        return None
    if not secure:
        raise ValueError("ssl is given, but the URI is not wss://")
    return _tls("ssl", ssl)


def server_tls(ssl: SSL) -> _core.TLS | None:
    """None: no TLS."""
    if ssl is True:
        raise ValueError("ssl=True is for clients: a server needs a certificate")
    return None if ssl is None else _tls("ssl", ssl)


def _tls(name: str, ssl: SSL) -> _core.TLS | None:
    if ssl is True:
        return None
    if isinstance(ssl, _core.TLS):
        return ssl
    # A context exists only where its module was imported, which takes too long to do for nothing.
    module = sys.modules.get("ssl")
    if module is None or not isinstance(ssl, module.SSLContext):
        raise TypeError(f"{name} must be True, an SSLContext or a TLS, not {_kind(ssl)}")
    try:
        return _core.TLS.from_ssl_context(ssl)
    except _core.Error as error:
        raise ValueError(f"{name}: {error}") from error


def header_fields(headers: HeadersLike | None) -> list[tuple[str, str]]:
    """Names and values in order; InvalidHeaderValue for what would break a head."""
    return [] if headers is None else list(Headers(headers).raw_items())


def request_fields(
    *,
    origin: str | None,
    additional_headers: HeadersLike | None,
    user_agent_header: str | None,
) -> list[tuple[str, str]]:
    """What a client adds to the request of its handshake."""
    fields = header_fields(additional_headers)
    names = {name.lower() for name, _ in fields}
    if user_agent_header is not None and "user-agent" not in names:
        fields.insert(0, ("User-Agent", user_agent_header))
    if origin is not None and "origin" not in names:
        fields.insert(0, ("Origin", origin))
    return fields


def subprotocol_list(subprotocols: Sequence[str] | None) -> list[str]:
    """In order of preference; a str by itself is a mistake that would offer its letters."""
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be a list, not a str")
    return list(subprotocols or ())


def address(text: str) -> Any:
    """A peer's or an own address, as socket.getpeername would give it; None if there is none.

    (host, port) for IPv4, (host, port, flow, scope) for IPv6, the path for a unix socket.
    """
    if not text:
        return None
    if text.startswith("unix:"):
        return text[5:]
    host, _, port = text.rpartition(":")
    if not host.startswith("["):
        return host, int(port)
    host, _, zone = host[1:-1].partition("%")
    return host, int(port), 0, _scope(zone)


def _scope(zone: str) -> int:
    if not zone or zone.isdecimal():
        return int(zone or 0)
    import socket

    try:
        return socket.if_nametoindex(zone)
    except OSError:
        return 0  # the interface has gone


def _kind(value: object) -> str:
    return type(value).__name__
