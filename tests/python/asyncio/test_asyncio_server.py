"""serve(): handlers, the handshake's callbacks, plain HTTP, closing."""

import asyncio
import contextvars
import inspect
import logging
import re
import socket

import pytest
import support
from libws import (
    ConnectionClosedError,
    ConnectionClosedOK,
    Headers,
    InvalidStatus,
    NegotiationError,
    ProtocolError,
    Response,
    State,
)
from libws.asyncio.client import connect
from libws.asyncio.server import Server, ServerConnection, basic_auth, serve, unix_serve
from support import RawClient, joined, serving

# Handlers.


async def test_handler_that_returns_closes_with_1000():
    async def handler(connection):
        await connection.send("bye")

    async with joined(handler) as (client, _):
        assert await client.recv() == "bye"
        with pytest.raises(ConnectionClosedOK) as caught:
            await client.recv()
        assert caught.value.rcvd.code == 1000


async def test_handler_that_raises_closes_with_1011_and_logs(caplog):
    async def handler(connection):
        raise LookupError("not there")

    async with joined(handler) as (client, _):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.rcvd.code == 1011
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == "connection handler failed"
    assert record.name == "libws.server"
    assert record.exc_info[0] is LookupError


async def test_handler_that_ends_with_connection_closed_ok_is_no_failure(caplog):
    async def handler(connection):
        await connection.recv()

    async with joined(handler) as (client, _):
        await client.close()
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_handler_that_is_a_plain_function_and_raises_closes_with_1011(caplog):
    def handler(connection):
        raise LookupError

    async with serving(handler) as (_, url), connect(url) as client:
        await client.wait_closed()
        assert client.close_code == 1011
    assert "connection handler failed" in caplog.text


async def test_handler_cancelled_closes_with_1001():
    async def handler(connection):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async with serving(handler) as (_, url), connect(url) as client:
        await client.wait_closed()
        assert client.close_code == 1001


async def test_handler_runs_in_the_context_of_serve():
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    async def handler(connection):
        seen.append(variable.get())
        variable.set("changed by one")

    variable.set("of serve")
    server = serve(handler, "127.0.0.1", 0)
    variable.set("later")
    async with server:
        for _ in range(2):
            async with connect(support.url_of(server)) as client:
                await client.wait_closed()
    assert seen == ["of serve", "of serve"]


@pytest.mark.parametrize("kind", ["function", "coroutine"])
async def test_context_set_by_process_request_reaches_the_handler(kind):
    variable = contextvars.ContextVar("variable")

    def process(connection, request):
        variable.set(request.path)

    async def process_later(connection, request):
        process(connection, request)

    async def handler(connection):
        await connection.send(variable.get())

    process_request = process if kind == "function" else process_later
    async with serving(handler, process_request=process_request) as (_, url):
        async with connect(url + "here") as client:
            assert await client.recv() == "/here"


async def test_connection_knows_its_request_and_response():
    async with joined(support.until_closed) as (client, server):
        assert server.request.path == "/"
        assert server.request.method == "GET"
        assert server.request.headers["Sec-WebSocket-Version"] == "13"
        assert server.request is server.request
        assert server.response.status_code == 101
        assert server.response.headers["Server"].startswith("Python/")
        accept = client.response.headers["Sec-WebSocket-Accept"]
        assert server.response.headers["Sec-WebSocket-Accept"] == accept
        assert server.remote_address == client.local_address
        assert server.local_address == client.remote_address
        assert server.id != client.id


async def test_create_connection_makes_the_connection():
    class Mine(ServerConnection):
        def greet(self):
            return "hello"

    async with joined(support.until_closed, create_connection=Mine) as (_, server):
        assert server.greet() == "hello"


@pytest.mark.parametrize("header, expected", [("mine/1", "mine/1"), (None, None)])
async def test_server_header_is_sent(header, expected):
    async with joined(server_header=header) as (client, _):
        assert client.response.headers.get("Server") == expected


# Requests and their answers.


async def refusal_of(url, **options):
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **options)
    return caught.value.response


@pytest.mark.parametrize(
    "origins, origin, status",
    [
        (None, "https://any.example", 101),
        (["https://a.example"], "https://a.example", 101),
        (["https://a.example"], "https://b.example", 403),
        (["https://a.example"], None, 403),
        (["https://a.example", None], None, 101),
        ([re.compile(r"https://.*\.a\.example")], "https://x.a.example", 101),
        ([re.compile(r"https://.*\.a\.example")], "https://x.a.example.evil", 403),
        ([], "https://a.example", 403),
    ],
)
async def test_origins_decide_who_may_connect(origins, origin, status):
    async with serving(origins=origins) as (_, url):
        if status == 101:
            async with connect(url, origin=origin):
                return
        assert (await refusal_of(url, origin=origin)).status_code == status


async def test_subprotocol_that_nobody_speaks_is_400():
    async with serving(subprotocols=["a"]) as (_, url):
        assert (await refusal_of(url, subprotocols=["b"])).status_code == 400


@pytest.mark.parametrize("later", [False, True])
async def test_select_subprotocol_chooses(later):
    def select(connection, offered):
        assert isinstance(connection, ServerConnection)
        return offered[-1]

    async def select_later(connection, offered):
        await asyncio.sleep(0)
        return select(connection, offered)

    async with joined(
        support.until_closed,
        select_subprotocol=select_later if later else select,
        client={"subprotocols": ["a", "b"]},
    ) as ends:
        assert [end.subprotocol for end in ends] == ["b", "b"]


@pytest.mark.parametrize("later", [False, True])
async def test_select_subprotocol_may_refuse(later):
    def select(connection, offered):
        raise NegotiationError("none of these")

    async def select_later(connection, offered):
        select(connection, offered)

    async with serving(select_subprotocol=select_later if later else select) as (_, url):
        response = await refusal_of(url, subprotocols=["a"])
        assert response.status_code == 400
        assert b"none of these" in response.body


async def test_process_response_with_a_subprotocol_nobody_offered_is_500():
    def process(connection, request, response):
        response.headers["Sec-WebSocket-Protocol"] = "invented"

    async with serving(process_response=process) as (_, url):
        assert (await refusal_of(url)).status_code == 500


async def test_process_request_that_waits_for_the_end_is_woken_when_refused():
    waiting = []

    def process(connection, request):
        waiting.append(asyncio.ensure_future(connection.wait_closed()))
        return connection.respond(403, "no")

    async with serving(process_request=process) as (_, url):
        assert (await refusal_of(url)).status_code == 403
        await waiting[0]


@pytest.mark.parametrize("later", [False, True])
async def test_process_request_may_answer_instead(later):
    def process(connection, request):
        assert connection.state is State.CONNECTING
        assert connection.request is request
        assert connection.remote_address[0] == "127.0.0.1"
        if request.path == "/health":
            response = connection.respond(200, "OK\n")
            response.headers["X-Kind"] = "health"
            return response
        return None

    async def process_later(connection, request):
        await asyncio.sleep(0)
        return process(connection, request)

    options = {"process_request": process_later if later else process}
    async with serving(**options) as (_, url), connect(url) as client:
        response = await refusal_of(url + "health")
        assert (response.status_code, response.body) == (200, b"OK\n")
        assert response.headers["X-Kind"] == "health"
        await client.send("x")
        assert await client.recv() == "x"


@pytest.mark.parametrize("method, body", [("GET", b"alive"), ("HEAD", b"")])
async def test_plain_http_reaches_process_request(method, body):
    methods = []

    def process(connection, request):
        methods.append(request.method)
        return connection.respond(200, "alive")

    async with serving(process_request=process) as (_, url):
        client = await RawClient.open(url)
        status, fields, got = await client.request(method=method)
        assert (status, got) == (200, body)
        assert fields["server"].startswith("Python/")
        assert methods == [method]
        await client.close()


async def test_plain_http_without_process_request_is_426():
    async with serving() as (_, url):
        client = await RawClient.open(url)
        status, fields, _ = await client.request()
        assert status == 426
        assert fields["upgrade"] == "websocket"
        await client.close()


@pytest.mark.parametrize("later", [False, True])
async def test_process_response_may_change_the_response(later):
    def process(connection, request, response):
        response.headers["Set-Cookie"] = "a=1"
        response.headers["Set-Cookie"] = "b=2"

    async def process_later(connection, request, response):
        await asyncio.sleep(0)
        process(connection, request, response)

    async with joined(process_response=process_later if later else process) as (client, server):
        assert client.response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
        assert server.response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


async def test_process_response_may_replace_the_response():
    def process(connection, request, response):
        return Response(418, "Teapot", Headers({"X-A": "b"}), b"short")

    async with serving(process_response=process) as (_, url):
        response = await refusal_of(url)
        assert (response.status_code, response.body) == (418, b"short")


async def test_process_response_sees_a_refusal():
    seen = []

    def process(connection, request, response):
        seen.append(response.status_code)

    async with serving(process_response=process, origins=[]) as (_, url):
        await refusal_of(url)
    assert seen == [403]


@pytest.mark.parametrize("which", ["process_request", "process_response", "select_subprotocol"])
async def test_callback_that_raises_is_500_and_logged(which, caplog):
    def fail(*_arguments):
        raise LookupError("in the callback")

    async with serving(**{which: fail}) as (_, url):
        assert (await refusal_of(url)).status_code == 500
    assert "in the callback" in caplog.text


async def test_open_timeout_ends_process_request():
    ended = asyncio.Event()

    async def process(connection, request):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(process_request=process, open_timeout=0.05) as (server, url):
        with pytest.raises(Exception, match=r"."):
            await connect(url)
        await ended.wait()
        await support.eventually(lambda: not server._live)


async def test_peer_that_leaves_during_process_request_is_forgotten():
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def process(connection, request):
        asked.set()
        await go_on.wait()

    async with serving(process_request=process) as (server, url):
        client = await RawClient.open(url)
        upgrading = asyncio.create_task(client.upgrade())
        await asked.wait()
        upgrading.cancel()
        client.writer.transport.abort()
        await asyncio.wait([upgrading])
        go_on.set()
        await support.eventually(lambda: not server._live)


# basic_auth.


@pytest.mark.parametrize(
    "options",
    [
        {"credentials": ("me", "secret")},
        {"credentials": [("you", "x"), ("me", "secret")]},
        {"check_credentials": lambda user, password: (user, password) == ("me", "secret")},
    ],
)
async def test_basic_auth_lets_in_who_knows_the_password(options):
    async with serving(
        lambda connection: connection.send(connection.username),
        process_request=basic_auth("a realm", **options),
    ) as (_, url):
        async with connect(url.replace("://", "://me:secret@")) as client:
            assert await client.recv() == "me"
        for wrong in ("", "me:wrong@", "you:secret@"):
            response = await refusal_of(url.replace("://", f"://{wrong}"))
            assert response.status_code == 401
            assert 'realm="a realm"' in response.headers["WWW-Authenticate"]


async def test_basic_auth_with_a_coroutine_function():
    async def check(user, password):
        await asyncio.sleep(0)
        return password == "secret"

    async with serving(process_request=basic_auth(check_credentials=check)) as (_, url):
        async with connect(url.replace("://", "://me:secret@")):
            pass
        assert (await refusal_of(url)).status_code == 401


@pytest.mark.parametrize(
    "options, error",
    [
        ({}, ValueError),
        ({"credentials": ("a", "b"), "check_credentials": print}, ValueError),
        ({"credentials": "ab"}, TypeError),
        ({"credentials": [("a",)]}, TypeError),
    ],
)
def test_basic_auth_with_wrong_arguments_is_refused(options, error):
    with pytest.raises(error):
        basic_auth("realm", **options)


# The server object.


async def test_server_awaited_serves_until_it_is_closed():
    server = await serve(support.until_closed, "127.0.0.1", 0)
    assert isinstance(server, Server)
    assert server.is_serving()
    assert server.get_loop() is asyncio.get_running_loop()
    url = support.url_of(server)
    async with connect(url):
        pass
    server.close()
    assert not server.is_serving()
    assert server.sockets == ()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await connect(url)


async def test_connections_are_those_that_are_open():
    async with serving(support.until_closed) as (server, url):
        assert server.connections == set()
        async with connect(url) as first, connect(url):
            await support.eventually(lambda: len(server.connections) == 2)
            assert all(isinstance(each, ServerConnection) for each in server.connections)
            await first.close()
            await support.eventually(lambda: len(server.connections) == 1)
        await support.eventually(lambda: len(server.connections) == 0)


async def test_close_says_1001_and_waits_for_handlers():
    finished = []

    async def handler(connection):
        await connection.wait_closed()
        await asyncio.sleep(0.01)
        finished.append(connection)

    async with serving(handler) as (server, url):
        client = await connect(url)
        await support.eventually(lambda: server.connections)
        server.close()
        server.close()
        await server.wait_closed()
        assert len(finished) == 1
        await client.wait_closed()
        assert client.close_code == 1001


async def test_close_with_code_and_reason():
    async with serving(support.until_closed) as (server, url):
        client = await connect(url)
        await support.eventually(lambda: server.connections)
        server.close(code=1012, reason="back soon")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1012, "back soon")


@pytest.mark.parametrize(
    "code, reason", [(0, ""), (1005, ""), (1010, ""), (5000, ""), (1001, "r" * 124)]
)
async def test_close_with_what_cannot_be_sent_changes_nothing(code, reason):
    async with serving() as (server, _):
        with pytest.raises(ProtocolError):
            server.close(code=code, reason=reason)
        assert server.is_serving()


async def test_close_with_a_reason_of_123_bytes_arrives():
    async with serving(support.until_closed) as (server, url):
        client = await connect(url)
        await support.eventually(lambda: server.connections)
        server.close(reason="r" * 123)
        await client.wait_closed()
        assert client.close_reason == "r" * 123


async def test_close_without_connections_leaves_them_open():
    async with serving() as (server, url):
        client = await connect(url)
        await support.eventually(lambda: server.connections)
        server.close(close_connections=False)
        waiting = asyncio.create_task(server.wait_closed())
        await client.send("still here")
        assert await client.recv() == "still here"
        assert not waiting.done()
        await client.close()
        await waiting
        assert client.close_code == 1000


async def test_close_without_connections_then_with():
    async with serving(support.until_closed) as (server, url):
        client = await connect(url)
        await support.eventually(lambda: server.connections)
        server.close(close_connections=False)
        server.close()
        await server.wait_closed()
        await client.wait_closed()
        assert client.close_code == 1001


async def test_close_during_the_handshake_answers_503():
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def process(connection, request):
        asked.set()
        await go_on.wait()

    async with serving(process_request=process) as (server, url):
        opening = asyncio.create_task(refusal_of(url))
        await asked.wait()
        server.close()
        go_on.set()
        assert (await opening).status_code == 503


async def test_serve_forever_returns_when_the_server_is_closed():
    server = serve(support.echo, "127.0.0.1", 0)
    forever = asyncio.create_task(server.serve_forever())
    await support.eventually(server.is_serving)
    server.close()
    await forever


async def test_serve_forever_cancelled_closes_the_server():
    async with serving(support.until_closed) as (server, url):
        client = await connect(url)
        forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
        assert not server.is_serving()
        await client.wait_closed()
        assert client.close_code == 1001


async def test_start_serving_false_accepts_later():
    server = await serve(support.until_closed, "127.0.0.1", 0, start_serving=False)
    assert not server.is_serving()
    opening = asyncio.create_task(connect(support.url_of(server))._open())
    await asyncio.sleep(0.05)
    assert not opening.done()
    await server.start_serving()
    assert server.is_serving()
    await (await opening).close()
    server.close()
    await server.wait_closed()


async def test_server_never_awaited_warns():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        serve(support.echo, "127.0.0.1", 0)


# Where it listens.


async def test_several_hosts_are_all_served():
    async with serve(support.until_closed, ["127.0.0.1", "127.0.0.2"], 0) as server:
        hosts = {sock.getsockname()[0] for sock in server.sockets}
        assert hosts == {"127.0.0.1", "127.0.0.2"}
        for sock in server.sockets:
            host, port = sock.getsockname()
            async with connect(f"ws://{host}:{port}/"):
                pass


async def test_ipv6_addresses_are_tuples_of_four():
    try:
        server = await serve(support.until_closed, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://[::1]:{port}/") as client:
            assert client.remote_address == ("::1", port, 0, 0)


async def test_port_in_use_names_the_address():
    async with serving() as (server, _):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            await serve(support.echo, "127.0.0.1", port)


async def test_sock_is_listened_on():
    sock = socket.create_server(("127.0.0.1", 0))
    async with serve(support.until_closed, sock=sock) as server:
        assert server.sockets == (sock,)
        async with connect(support.url_of(server)):
            pass
    assert sock.fileno() == -1


async def test_sock_with_host_is_refused():
    with socket.socket() as sock, pytest.raises(ValueError, match="sock"):
        serve(support.echo, "127.0.0.1", 0, sock=sock)


async def test_unix_serve_replaces_a_path_that_was_left_behind(tmp_path):
    path = str(tmp_path / "s")
    for _ in range(2):
        async with unix_serve(support.until_closed, path) as server:
            client = await RawUnix.open(path)
            assert (await client.upgrade())[0] == 101
            await support.eventually(lambda: server.connections)
            (connection,) = server.connections
            assert connection.local_address == path
            assert connection.remote_address == ""
            await client.close()


class RawUnix(RawClient):
    @classmethod
    async def open(cls, path):
        self = cls()
        self.reader, self.writer = await asyncio.open_unix_connection(path)
        return self


@pytest.mark.parametrize("name", ["colour", "ssl_handshake_timeout"])
async def test_argument_that_cannot_be_honoured_is_named(name):
    with pytest.raises(TypeError, match=name):
        serve(support.echo, "127.0.0.1", 0, **{name: 1})


@pytest.mark.parametrize("options", [{"open_timeout": -1}, {"ssl": True}, {"max_size": 0}])
async def test_value_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        serve(support.echo, "127.0.0.1", 0, **options)


def test_serve_has_the_parameters_of_websockets():
    websockets_server = pytest.importorskip("websockets.asyncio.server")
    theirs = inspect.signature(websockets_server.serve).parameters
    ours = inspect.signature(serve).parameters
    missing = {name for name in theirs if name not in ours} - {"extensions", "kwargs"}
    assert not missing
