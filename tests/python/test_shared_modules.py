"""What libws.asyncio and libws.sync share: arguments, failures, answers, listening sockets."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from libws import _core
from libws._failures import connect_failed, connection_closed
from libws._handshake import parse_basic
from libws._listen import bind_all, bind_unix, check_given, name_of
from libws._options import (
    address,
    client_tls,
    connection_config,
    milliseconds,
    parse_uri,
    queue_limits,
    server_tls,
    write_limits,
)
from libws.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    ProtocolError,
    ProxyError,
)
from libws.frames import Close

_DAYS = 2**31 - 1  # milliseconds


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, None),
        (0, 1),
        (0.0001, 1),
        (0.001, 1),
        (0.0011, 2),
        (10, 10_000),
        ((_DAYS - 1) / 1000, _DAYS - 1),
        (_DAYS / 1000, _DAYS),
        ((_DAYS + 1) / 1000, None),
        (float("inf"), None),
    ],
)
def test_milliseconds_are_rounded_up_and_bounded(seconds: Any, expected: int | None) -> None:
    assert milliseconds("t", seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "error"), [(-0.001, ValueError), (float("nan"), ValueError), ("1", TypeError)]
)
def test_milliseconds_of_what_is_no_time_names_the_argument(
    seconds: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="open_timeout"):
        milliseconds("open_timeout", seconds)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ((None, None), None),
        (0, (0, 0)),
        (16, (16, 4)),
        ((16, None), (16, 4)),
        ((5, 5), (5, 5)),
    ],
)
def test_queue_limits_low_is_a_quarter_unless_given(given: Any, expected: Any) -> None:
    assert queue_limits(given) == expected


@pytest.mark.parametrize("given", [-1, (4, 5), (4, -1)])
def test_queue_limits_and_write_limits_out_of_order_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="max_queue"):
        queue_limits(given)
    with pytest.raises(ValueError, match="write_limit"):
        write_limits(given)


@pytest.mark.parametrize(("given", "expected"), [(0, (1, 1)), (8, (8, 2)), ((8, 0), (8, 1))])
def test_write_limits_zero_is_not_the_librarys_default(given: Any, expected: Any) -> None:
    assert write_limits(given) == expected


def config(**options: Any) -> _core.Config:
    base: dict[str, Any] = {
        "compression": None,
        "open_timeout": 1,
        "ping_interval": 20,
        "ping_timeout": 20,
        "close_timeout": 1,
        "max_size": 1,
        "write_limit": 1,
    }
    return connection_config(**{**base, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "deflate"},
        {"compression": "dedicated"},
        {"ping_interval": None},
        {"ping_timeout": None},
        {"ping_interval": 2e6, "ping_timeout": 2e6},
        {"max_size": None},
        {"max_size": (10, None)},
        {"max_size": (10, 5)},
        {"max_size": (None, None)},
    ],
)
def test_config_takes_what_it_should(options: dict[str, Any]) -> None:
    assert isinstance(config(**options), _core.Config)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"compression": "br"}, ValueError, "compression"),
        ({"max_size": 0}, ValueError, "max_size"),
        ({"max_size": "1"}, TypeError, "max_size"),
        ({"max_size": (None, 5)}, ValueError, "max_size"),
        ({"close_timeout": -1}, ValueError, "close_timeout"),
    ],
)
def test_config_refuses_and_names_the_argument(
    options: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        config(**options)


@pytest.mark.parametrize(
    ("uri", "url", "secure"),
    [
        ("ws://h/", "ws://h/", False),
        ("WSS://h:1/p?q", "wss://h:1/p?q", True),
        ("ws://bücher.example/ü", "ws://xn--bcher-kva.example/ü", False),
        ("ws://u:p@bücher.example:8", "ws://u:p@xn--bcher-kva.example:8", False),
        ("ws+unix:///tmp/é", "ws+unix:///tmp/é", False),
    ],
)
def test_parse_uri_converts_only_the_host(uri: str, url: str, secure: bool) -> None:
    assert parse_uri(uri) == (url, secure)


@pytest.mark.parametrize("uri", ["", "ws", "http://h/", "//h/", "ws://" + "ü" * 64 + ".example/"])
def test_parse_uri_refuses_other_schemes_and_hosts(uri: str) -> None:
    with pytest.raises(InvalidURI):
        parse_uri(uri)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("192.0.2.7:80", ("192.0.2.7", 80)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443, 0, 0)),
        ("[fe80::1%7]:443", ("fe80::1", 443, 0, 7)),
        ("[fe80::1%nowhere]:443", ("fe80::1", 443, 0, 0)),
        ("unix:", ""),
        ("unix:/tmp/s", "/tmp/s"),
    ],
)
def test_address_is_as_the_socket_module_has_it(text: str, expected: Any) -> None:
    assert address(text) == expected


def test_tls_arguments_are_checked() -> None:
    own = _core.TLS.self_signed()
    assert client_tls(None, secure=False) is None
    assert client_tls(True, secure=True) is None
    assert client_tls(own, secure=True) is own
    assert server_tls(None) is None
    assert server_tls(own) is own
    for wrong in (lambda: client_tls(own, secure=False), lambda: server_tls(True)):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(TypeError):
        client_tls("yes", secure=True)  # type: ignore[arg-type]


def closed(error: int, code: int, sent: int, *, by_peer: bool = False) -> Any:
    return connection_closed((error, code, sent, error == 0, by_peer, "why", "detail"), "ours")


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_closed_in_order_is_ok(code: int) -> None:
    error = closed(0, code, 1000)
    assert type(error) is ConnectionClosedOK
    assert error.rcvd == Close(code, "why")
    assert error.sent == Close(1000, "ours")
    assert error.rcvd_then_sent is False


@pytest.mark.parametrize("code", [1002, 1011, 3000, 4999])
def test_closed_with_another_code_is_an_error(code: int) -> None:
    error = closed(0, code, code, by_peer=True)
    assert type(error) is ConnectionClosedError
    assert error.rcvd_then_sent is True


def test_closed_without_frames_is_an_error_with_its_cause() -> None:
    error = closed(_core.ERR_EOF, 1006, 0)
    assert (error.rcvd, error.sent, error.rcvd_then_sent) == (None, None, None)
    assert isinstance(error.__cause__, EOFError)
    assert isinstance(closed(_core.ERR_TIMEOUT, 1006, 1011).__cause__, TimeoutError)
    assert isinstance(closed(_core.ERR_PROTOCOL, 1006, 1002).__cause__, ProtocolError)
    assert isinstance(connection_closed(None), ConnectionClosedError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_core.ERR_TIMEOUT, TimeoutError),
        (_core.ERR_DNS, socket.gaierror),
        (_core.ERR_IO, OSError),
        (_core.ERR_EOF, InvalidMessage),
        (_core.ERR_HTTP, InvalidMessage),
        (_core.ERR_PROXY, ProxyError),
        (_core.ERR_TLS, ssl.SSLError),
        (_core.ERR_TLS_VERIFY, ssl.SSLCertVerificationError),
        (_core.ERR_HANDSHAKE, InvalidHandshake),
        (_core.ERR_CANCELLED, ConnectionAbortedError),
    ],
)
def test_connect_failed_has_the_exception_for_each_error(
    error: int, expected: type[Exception]
) -> None:
    made = connect_failed(error, "detail")
    assert isinstance(made, expected)
    assert "detail" in str(made)


def test_connect_failed_keeps_the_systems_reason_and_the_servers() -> None:
    assert type(connect_failed(_core.ERR_CONNECT, "x", 111)) is ConnectionRefusedError
    made = connect_failed(_core.ERR_HTTP_STATUS, "x", 0, 599, (599, [("A", "b")], b"body"))
    assert isinstance(made, InvalidStatus)
    assert (made.response.status_code, made.response.reason_phrase) == (599, "")
    assert made.response.headers["a"] == "b"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Basic dTpw", ("u", "p")),
        ("bAsIc dTpwOnE=", ("u", "p:q")),
        ("Basic dTo=", ("u", "")),
        ("Basic dQ==", None),
        ("Basic ?", None),
        ("Basic", None),
        ("Bearer dTpw", None),
    ],
)
def test_parse_basic_reads_user_and_password(field: str, expected: Any) -> None:
    assert parse_basic(field) == expected


def test_bind_all_listens_on_each_address_once() -> None:
    infos = socket.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)
    (sock,) = bind_all([*infos, *infos])
    with sock:
        assert name_of(sock) == f"127.0.0.1:{sock.getsockname()[1]}"
        with socket.create_connection(sock.getsockname(), timeout=10):
            pass


def test_bind_all_names_the_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", taken.getsockname())
        with pytest.raises(OSError, match=f"127.0.0.1.*{taken.getsockname()[1]}"):
            bind_all([info])


def test_bind_all_without_addresses_is_an_os_error() -> None:
    with pytest.raises(OSError):
        bind_all([])


def test_bind_unix_replaces_a_stale_socket_but_no_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    bind_unix(path).close()
    with bind_unix(path) as sock:
        assert name_of(sock) == str(path)
    path.unlink()
    path.write_text("precious")
    with pytest.raises(OSError, match="socket"):
        bind_unix(path)
    assert path.read_text() == "precious"


def test_check_given_refuses_datagrams() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(ValueError):
        check_given(sock)
