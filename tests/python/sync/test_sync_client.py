"""libws.sync.client.connect: what it asks for, and how it fails."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from libws import TLS
from libws.exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    ProxyError,
)
from libws.sync.client import ClientConnection, connect, unix_connect
from libws.sync.server import ServerConnection
from sync_support import DEADLINE, Call, RawServer, echo, running, uri_of


def request_of(**options: Any) -> str:
    """The request that connect sends."""
    with RawServer() as server:
        with connect(server.uri, proxy=None, close_timeout=0.1, **options):
            return server.head.decode()


def test_connect_request_has_what_was_asked_for() -> None:
    head = request_of(
        origin="https://example.com",
        subprotocols=["a", "b"],
        additional_headers={"X-Test": "1"},
        user_agent_header="tester",
    )
    for line in (
        "Origin: https://example.com",
        "Sec-WebSocket-Protocol: a, b",
        "X-Test: 1",
        "User-Agent: tester",
    ):
        assert f"\r\n{line}\r\n" in head


def test_connect_user_agent_is_ours_unless_none() -> None:
    assert "libws/" in request_of()
    assert "user-agent" not in request_of(user_agent_header=None).lower()
    assert "User-Agent: mine" in request_of(additional_headers=[("User-Agent", "mine")])


def test_connect_compression_is_offered_unless_none() -> None:
    assert "permessage-deflate" in request_of()
    assert "permessage-deflate" not in request_of(compression=None)


@pytest.mark.parametrize(
    "uri",
    ["http://localhost/", "localhost", "ws://", "ws://localhost/#x", "ws://a b/", "ws://h:0x/"],
)
def test_connect_bad_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidURI) as info:
        connect(uri, proxy=None)
    assert info.value.uri == uri


@pytest.mark.parametrize("proxy", ["ftp://localhost/", "localhost:3128", "http://"])
def test_connect_bad_proxy_is_refused(proxy: str) -> None:
    with pytest.raises(InvalidProxy) as info:
        connect("ws://127.0.0.1:9/", proxy=proxy)
    assert info.value.proxy == proxy


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ssl": True}, ValueError),  # ws://
        ({"compression": "zip"}, ValueError),
        ({"open_timeout": -1}, ValueError),
        ({"open_timeout": "1"}, TypeError),
        ({"max_size": 0}, ValueError),
        ({"max_queue": (1, 2)}, ValueError),
        ({"write_limit": (1, 2)}, ValueError),
        ({"subprotocols": "chat"}, TypeError),
        ({"subprotocols": ["a", "a"]}, ValueError),
        ({"additional_headers": {"X": "a\r\nb"}}, InvalidHeaderValue),
        ({"additional_headers": {"Upgrade": "x"}}, ValueError),
        ({"unknown": 1}, TypeError),
        ({"proxy": 1}, TypeError),
    ],
)
def test_connect_bad_argument_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        connect("ws://127.0.0.1:9/", **{"proxy": None, **options})


def test_connect_to_a_closed_port_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect(f"ws://127.0.0.1:{port}/", proxy=None)


def test_connect_to_an_unknown_name_is_an_os_error() -> None:
    with pytest.raises(OSError):
        connect("ws://name.invalid/", proxy=None)


def test_connect_to_a_silent_listener_times_out() -> None:
    with RawServer(handshake=False) as server:
        with pytest.raises(TimeoutError):
            connect(server.uri, proxy=None, open_timeout=0.05)


def test_connect_refused_by_status_has_the_response() -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 2\r\n\r\nno"
    with RawServer(answer=answer) as server:
        with pytest.raises(InvalidStatus) as info:
            connect(server.uri, proxy=None)
    response = info.value.response
    assert (response.status_code, response.body) == (403, b"no")
    assert response.headers["X-Why"] == "because"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-something\r\n\r\n", InvalidMessage),
        (b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", InvalidUpgrade),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", InvalidUpgrade),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", InvalidHeader),
    ],
)
def test_connect_bad_answer_is_an_invalid_handshake(answer: bytes, error: type[Exception]) -> None:
    assert issubclass(error, InvalidHandshake)
    with RawServer(answer=answer) as server:
        with pytest.raises(error):
            connect(server.uri, proxy=None)


def test_connect_peer_that_hangs_up_is_an_invalid_message() -> None:
    with RawServer(handshake=False) as server:
        call = Call(connect, server.uri, proxy=None)
        server.hang_up()
        with pytest.raises(InvalidMessage) as info:
            call.result()
        assert isinstance(info.value.__cause__, EOFError)


def test_connect_subprotocol_that_was_not_offered_is_a_negotiation_error() -> None:
    with RawServer(handshake=False) as server:

        def answer() -> None:
            assert server.ready.wait(DEADLINE)
            head = server._switching()[:-2] + b"Sec-WebSocket-Protocol: other\r\n\r\n"
            server.send(head)

        Call(answer)
        with pytest.raises(NegotiationError):
            connect(server.uri, proxy=None, subprotocols=["chat"])


def test_connect_follows_a_redirect() -> None:
    with running(echo) as target:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {uri_of(target)}\r\nContent-Length: 0\r\n\r\n"
        with RawServer(answer=answer.encode()) as server:
            with connect(server.uri, proxy=None) as ws:
                ws.send("there")
                assert ws.recv(DEADLINE) == "there"
                assert ws.remote_address == target.socket.getsockname()


def test_connect_with_a_socket_uses_and_takes_it() -> None:
    with running(echo) as server:
        sock = socket.create_connection(server.socket.getsockname())
        with connect("ws://ignored.invalid/", sock=sock) as ws:
            ws.send("x")
            assert ws.recv(DEADLINE) == "x"
            assert sock.fileno() == -1


def test_connect_address_and_source_address() -> None:
    with running(echo) as server:
        where = server.socket.getsockname()
        with connect("ws://ignored.invalid/", proxy=None, address=where) as ws:
            assert ws.remote_address == where
        with connect(uri_of(server), proxy=None, source_address=("127.0.0.2", 0)) as ws:
            assert ws.local_address[0] == "127.0.0.2"


def test_connect_unix(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running(echo, path=path):
        with unix_connect(path) as ws:
            ws.send("x")
            assert ws.recv(DEADLINE) == "x"


def test_unix_connect_needs_one_of_path_and_sock() -> None:
    with pytest.raises(ValueError):
        unix_connect()
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(ValueError):
        unix_connect("/nowhere", sock=sock)
    with pytest.raises(FileNotFoundError):
        unix_connect("/nowhere/at/all")


def test_connect_tls_verifies_unless_told() -> None:
    own = TLS.self_signed("localhost")
    with running(echo, ssl=own) as server:
        uri = uri_of(server).replace("ws:", "wss:")
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(uri, proxy=None)
        with connect(uri, proxy=None, ssl=TLS(ca_pem=own.certificate)) as ws:
            ws.send("secret")
            assert ws.recv(DEADLINE) == "secret"
            tls = ws.tls()
            assert tls is not None and tls["version"] == "TLSv1.3"
        with pytest.raises(ssl.SSLError):
            connect(
                uri, proxy=None, ssl=TLS(ca_pem=own.certificate), server_hostname="example.com"
            )


def test_connect_http_proxy_that_refuses_is_a_proxy_error() -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with RawServer(answer=answer) as server:
        with pytest.raises(ProxyError):
            connect("ws://example.invalid/", proxy=server.uri.replace("ws:", "http:"))


def test_connect_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    with RawServer(answer=answer) as server:
        for name in ("no_proxy", "NO_PROXY", "ws_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", server.uri.replace("ws:", "http:"))
        with pytest.raises(ProxyError):
            connect("ws://example.invalid/")
        assert server.head.startswith(b"CONNECT example.invalid:80 ")


def test_connect_create_connection_is_used() -> None:
    class Mine(ClientConnection):
        pass

    with running(echo) as server:
        with connect(uri_of(server), proxy=None, create_connection=Mine) as ws:
            assert type(ws) is Mine


def test_connect_logger_is_used() -> None:
    logger = logging.getLogger("test.sync")
    with running(echo) as server:
        with connect(uri_of(server), proxy=None, logger=logger) as ws:
            assert ws.logger is logger
        with connect(uri_of(server), proxy=None) as ws:
            assert isinstance(ws.logger, logging.Logger) and ws.logger.name == "libws.client"


def test_connect_many_threads_at_once() -> None:
    def talk(i: int) -> str:
        with connect(uri_of(server), proxy=None) as ws:
            ws.send(str(i))
            return str(ws.recv(DEADLINE))

    with running(echo) as server:
        calls = [Call(talk, i) for i in range(20)]
        assert [call.result() for call in calls] == [str(i) for i in range(20)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_the_child_has_no_connections_and_can_make_new_ones() -> None:
    closed = threading.Event()

    def handler(c: ServerConnection) -> None:
        for message in c:
            c.send(message)
        closed.set()

    with running(handler) as server:
        with connect(uri_of(server), proxy=None) as ws:
            child = os.fork()
            if child == 0:
                os._exit(_in_child(ws, uri_of(server)))
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            ws.send("the parent's is as it was")
            assert ws.recv(DEADLINE) == "the parent's is as it was"


def _in_child(inherited: ClientConnection, uri: str) -> int:
    from libws.exceptions import ConnectionClosed

    try:
        for call in (inherited.recv, lambda: inherited.send("x")):
            try:
                call()
                return 1
            except ConnectionClosed:
                pass
        with connect(uri, proxy=None) as ws:
            ws.send("child")
            return 0 if ws.recv(DEADLINE) == "child" else 2
    except BaseException:
        return 3
