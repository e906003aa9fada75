"""libws.sync.server: which requests get in, the handler's life, and the end."""

from __future__ import annotations

import base64
import http.client
import logging
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from libws.datastructures import Headers
from libws.exceptions import ConnectionClosed, InvalidStatus, NegotiationError, ProtocolError
from libws.http11 import Request, Response
from libws.sync.client import connect, unix_connect
from libws.sync.server import (
    Server,
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)
from sync_support import DEADLINE, Call, connected, echo, running, uri_of, wait_until


def status_of(server: Server, **options: Any) -> int:
    """101, or what the server refused with."""
    try:
        with connect(uri_of(server), proxy=None, **options):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def get(server: Server, path: str, method: str = "GET") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*server.socket.getsockname(), timeout=DEADLINE)
    connection.request(method, path)
    return connection.getresponse()


def test_handler_that_returns_closes_1000() -> None:
    with connected(lambda c: None) as ws:
        assert ws.wait_closed(DEADLINE)
        assert ws.close_code == 1000


def test_handler_that_raises_closes_1011_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def handler(c: ServerConnection) -> None:
        raise RuntimeError("the reason")

    with connected(handler) as ws:
        assert ws.wait_closed(DEADLINE)
        assert ws.close_code == 1011
    record = next(r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.name == "libws.server"
    assert record.exc_info is not None and "the reason" in str(record.exc_info[1])


def test_handlers_run_side_by_side() -> None:
    barrier = threading.Barrier(3)

    def handler(c: ServerConnection) -> None:
        barrier.wait(DEADLINE)
        c.send("all here")

    with running(handler) as server:
        calls = [
            Call(lambda: connect(uri_of(server), proxy=None).recv(DEADLINE)) for _ in range(3)
        ]
        assert [call.result() for call in calls] == ["all here"] * 3


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (["https://a.example"], "https://a.example", 101),
        (["https://a.example"], "https://b.example", 403),
        (["https://a.example"], None, 403),
        (["https://a.example", None], None, 101),
        ([re.compile(r"https://\w+\.example")], "https://b.example", 101),
        ([re.compile(r"https://\w+\.example")], "https://b.example.evil", 403),
        ([re.compile(r"https://\w+\.example")], None, 403),
        ([], None, 403),
        (None, "https://any.where", 101),
    ],
)
def test_origins_decide_who_gets_in(origins: Any, origin: str | None, status: int) -> None:
    with running(echo, origins=origins) as server:
        assert status_of(server, origin=origin) == status


@pytest.mark.parametrize(
    ("served", "offered", "chosen"),
    [
        (["b", "a"], ["a", "b"], "b"),
        (["a"], None, None),
        (None, ["a"], None),
        (["c"], ["a", "b"], 400),
    ],
)
def test_subprotocols_the_servers_preference_wins(served: Any, offered: Any, chosen: Any) -> None:
    with running(echo, subprotocols=served) as server:
        if chosen == 400:
            assert status_of(server, subprotocols=offered) == 400
            return
        with connect(uri_of(server), proxy=None, subprotocols=offered) as ws:
            assert ws.subprotocol == chosen


def test_select_subprotocol_chooses() -> None:
    def select(connection: ServerConnection, offered: Any) -> Any:
        assert connection.request is not None
        if "bad" in offered:
            raise NegotiationError("not that one")
        return offered[-1]

    with running(echo, select_subprotocol=select) as server:
        with connect(uri_of(server), proxy=None, subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
        assert status_of(server, subprotocols=["bad"]) == 400


def test_plain_http_request_is_answered_426() -> None:
    with running(echo) as server:
        answer = get(server, "/")
        assert answer.status == 426
        assert "websocket" in (answer.getheader("Upgrade") or "")


def test_process_request_can_answer_plain_http() -> None:
    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/health":
            return None
        response = connection.respond(200, "fine\n")
        response.headers["X-Method"] = request.method
        return response

    with running(echo, process_request=process_request) as server:
        answer = get(server, "/health")
        assert (answer.status, answer.read()) == (200, b"fine\n")
        assert get(server, "/health", "HEAD").getheader("X-Method") == "HEAD"
        assert status_of(server) == 101


def test_process_request_that_raises_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def process_request(connection: ServerConnection, request: Request) -> None:
        raise RuntimeError("secret")

    with running(echo, process_request=process_request) as server:
        answer = get(server, "/")
        assert answer.status == 500
        assert b"secret" not in answer.read()
    assert any(r.levelno == logging.ERROR for r in caplog.records)


def test_process_response_adds_headers_and_may_refuse() -> None:
    def process_response(
        connection: ServerConnection, request: Request, response: Response
    ) -> Response | None:
        if request.path == "/no":
            return Response(402, "Payment Required", Headers(), b"pay")
        response.headers["X-Extra"] = "1"
        return None

    with running(echo, process_response=process_response) as server:
        with connect(uri_of(server), proxy=None) as ws:
            assert ws.response is not None
            assert ws.response.headers["X-Extra"] == "1"
        with pytest.raises(InvalidStatus) as info:
            connect(uri_of(server, "/no"), proxy=None)
        assert info.value.response.body == b"pay"


def test_process_response_that_raises_is_a_500() -> None:
    def process_response(c: ServerConnection, request: Request, response: Response) -> None:
        raise RuntimeError

    with running(echo, process_response=process_response) as server:
        assert status_of(server) == 500


def test_server_header_is_as_told() -> None:
    with running(echo, server_header="mine") as server:
        with connect(uri_of(server), proxy=None) as ws:
            assert ws.response is not None and ws.response.headers["Server"] == "mine"


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [("ann", "secret", 101), ("bob", "geheim", 101), ("ann", "geheim", 401), ("eve", "", 401)],
)
def test_basic_auth_admits_who_is_known(user: str, password: str, status: int) -> None:
    names: list[str] = []

    def handler(c: ServerConnection) -> None:
        names.append(c.username)

    auth = basic_auth("here", [("ann", "secret"), ("bob", "geheim")])
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    with running(handler, process_request=auth) as server:
        headers = {"Authorization": f"Basic {token}"}
        assert status_of(server, additional_headers=headers) == status
    assert names == ([user] if status == 101 else [])


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ?"}]
)
def test_basic_auth_asks_for_what_is_missing(headers: dict[str, str]) -> None:
    with running(echo, process_request=basic_auth('a "realm"', ("u", "p"))) as server:
        with pytest.raises(InvalidStatus) as info:
            connect(uri_of(server), proxy=None, additional_headers=headers)
        response = info.value.response
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith('Basic realm="a \\"realm\\""')


def test_basic_auth_check_credentials_decides() -> None:
    auth = basic_auth(check_credentials=lambda user, password: user == password)
    with running(echo, process_request=auth) as server:
        uri = uri_of(server).replace("//", "//x:x@")
        with connect(uri, proxy=None) as ws:
            ws.send("in")
            assert ws.recv(DEADLINE) == "in"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"credentials": ("a", "b"), "check_credentials": print}, ValueError),
        ({"credentials": "ab"}, TypeError),
        ({"credentials": [("a",)]}, TypeError),
        ({"credentials": 1}, TypeError),
    ],
)
def test_basic_auth_bad_arguments_are_refused(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        basic_auth("realm", **arguments)


def test_connections_are_those_that_are_open() -> None:
    with running(echo) as server:
        assert server.connections == set()
        with connect(uri_of(server), proxy=None) as ws:
            ws.send("x")
            ws.recv(DEADLINE)
            assert len(server.connections) == 1
        wait_until(lambda: not server.connections)


def test_shutdown_closes_connections_with_1001() -> None:
    with running(echo) as server:
        with connect(uri_of(server), proxy=None) as ws:
            ws.ping().wait(DEADLINE)
            server.shutdown()
            assert ws.wait_closed(DEADLINE)
            assert ws.close_code == 1001


def test_shutdown_code_and_reason_are_told() -> None:
    with running(echo) as server:
        with connect(uri_of(server), proxy=None) as ws:
            ws.ping().wait(DEADLINE)
            server.shutdown(code=1012, reason="back soon")
            assert ws.wait_closed(DEADLINE)
            assert (ws.close_code, ws.close_reason) == (1012, "back soon")


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (1001, "r" * 124)])
def test_shutdown_code_that_cannot_be_sent_changes_nothing(code: int, reason: str) -> None:
    with running(echo) as server:
        with pytest.raises(ProtocolError):
            server.shutdown(code=code, reason=reason)
        assert status_of(server) == 101


def test_shutdown_without_closing_waits_for_the_handlers() -> None:
    with running(echo) as server:
        with connect(uri_of(server), proxy=None) as ws:
            ws.ping().wait(DEADLINE)
            call = Call(server.shutdown, close_connections=False)
            wait_until(lambda: server._shut)
            ws.send("still served")
            assert ws.recv(DEADLINE) == "still served"
            assert call.running()
            ws.close()
            call.result()


def test_shutdown_refuses_who_is_opening_with_503() -> None:
    entered, go = threading.Event(), threading.Event()

    def process_request(c: ServerConnection, request: Request) -> None:
        entered.set()
        assert go.wait(DEADLINE)

    with running(echo, process_request=process_request) as server:
        client = Call(status_of, server)
        assert entered.wait(DEADLINE)
        closing = Call(server.shutdown)
        wait_until(lambda: server._shut)
        go.set()
        assert client.result() == 503
        closing.result()


def test_shutdown_by_a_handler_ends_the_server() -> None:
    def handler(c: ServerConnection) -> None:
        c.server.shutdown()

    server = serve(handler, "127.0.0.1", 0)
    call = Call(server.serve_forever)
    with connect(uri_of(server), proxy=None) as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv(DEADLINE)
    call.result()


def test_shutdown_before_and_after_serving_is_harmless() -> None:
    server = serve(echo, "127.0.0.1", 0)
    server.shutdown()
    server.shutdown()
    server.serve_forever()


def test_shutdown_ends_accepting() -> None:
    with running(echo) as server:
        where = server.socket.getsockname()
        assert server.fileno() >= 0
    with pytest.raises(OSError):
        socket.create_connection(where, timeout=DEADLINE)


def test_serve_given_socket_is_used() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    with running(echo, sock=sock) as server:
        assert server.socket is sock
        assert status_of(server) == 101


def test_unix_serve(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with unix_serve(echo, path) as server:
        call = Call(server.serve_forever)
        with unix_connect(path) as ws:
            ws.send("x")
            assert ws.recv(DEADLINE) == "x"
            assert ws.request is not None and ws.request.headers["Host"] == "localhost"
    call.result()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ssl": True}, ValueError),
        ({"origins": "https://a"}, TypeError),
        ({"subprotocols": "chat"}, TypeError),
        ({"sock": socket.socket(), "host": "x"}, ValueError),
        ({"max_queue": (1, 2)}, ValueError),
    ],
)
def test_serve_bad_argument_is_refused(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        serve(echo, **options)


def test_serve_address_in_use_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError):
            serve(echo, "127.0.0.1", taken.getsockname()[1])


def test_client_that_leaves_during_process_request_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entered, go = threading.Event(), threading.Event()
    handled: list[object] = []

    def process_request(c: ServerConnection, request: Request) -> None:
        entered.set()
        assert go.wait(DEADLINE)

    with running(handled.append, process_request=process_request) as server:
        with socket.create_connection(server.socket.getsockname()) as sock:
            sock.sendall(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert entered.wait(DEADLINE)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        go.set()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_broadcast_reaches_all_that_are_open() -> None:
    with running(lambda c: c.wait_closed(DEADLINE) and None) as server:
        clients = [connect(uri_of(server), proxy=None) for _ in range(5)]
        wait_until(lambda: len(server.connections) == 5)
        broadcast(server.connections, "to all")
        assert [c.recv(DEADLINE) for c in clients] == ["to all"] * 5
        for c in clients:
            c.close()


def test_broadcast_leaves_out_who_sends_fragments(caplog: pytest.LogCaptureFixture) -> None:
    begun, go = threading.Event(), threading.Event()

    def pieces():  # type: ignore[no-untyped-def]
        yield "frag"
        begun.set()
        assert go.wait(DEADLINE)
        yield "ments"

    with running(lambda c: c.send(pieces())) as server:
        with connect(uri_of(server), proxy=None) as ws:
            assert begun.wait(DEADLINE)
            broadcast(server.connections, "skipped")
            assert "broadcast left out" in caplog.text
            go.set()
            assert ws.recv(DEADLINE) == "fragments"
