"""connect(): arguments, what the request says, failures, cancelling, reconnecting."""

import asyncio
import inspect
import logging
import socket

import libws
import pytest
import support
from libws import (
    Headers,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    ProxyError,
    State,
)
from libws.asyncio.client import (
    ClientConnection,
    backoff,
    connect,
    process_exception,
    unix_connect,
)
from support import serving


async def request_of(**options):
    """The request that connect(**options) makes, as the server sees it."""
    seen = asyncio.get_running_loop().create_future()

    async def note(connection):
        seen.set_result(connection.request)

    async with serving(note, **options.pop("server", {})) as (_, url):
        async with connect(url + "chat?room=1", **options):
            return await seen


async def test_request_has_target_and_default_user_agent():
    request = await request_of()
    assert request.path == "/chat?room=1"
    assert request.headers["User-Agent"].startswith("Python/")
    assert "libws/" in request.headers["User-Agent"]
    assert "Origin" not in request.headers


async def test_request_has_origin_and_additional_headers():
    request = await request_of(
        origin="https://example.com",
        additional_headers=[("X-One", "1"), ("X-One", "2")],
        user_agent_header="mine/1",
    )
    assert request.headers["Origin"] == "https://example.com"
    assert request.headers.get_all("x-one") == ["1", "2"]
    assert request.headers["User-Agent"] == "mine/1"


@pytest.mark.parametrize("headers", [{"X-A": "b"}, Headers({"X-A": "b"}), [("X-A", "b")]])
async def test_additional_headers_of_each_kind_are_sent(headers):
    request = await request_of(additional_headers=headers)
    assert request.headers["X-A"] == "b"


async def test_user_agent_none_sends_none():
    assert "User-Agent" not in (await request_of(user_agent_header=None)).headers


@pytest.mark.parametrize("compression, offered", [("deflate", True), (None, False)])
async def test_compression_is_offered_unless_none(compression, offered):
    request = await request_of(compression=compression)
    assert ("Sec-WebSocket-Extensions" in request.headers) is offered


async def test_connection_knows_its_request_and_response():
    async with serving(support.until_closed) as (server, url):
        async with connect(url + "x?y", additional_headers={"X-A": "b"}) as client:
            assert client.request.path == "/x?y"
            assert client.request.headers["Host"] == url.split("/")[2]
            assert client.request.headers["X-A"] == "b"
            assert client.response.status_code == 101
            assert client.response.headers["Upgrade"].lower() == "websocket"
            assert client.request is client.request
            assert client.remote_address == server.sockets[0].getsockname()
            assert client.local_address[0] == "127.0.0.1"
            assert client.subprotocol is None
            assert client.id == client.id
            assert client.id.version == 4


async def test_subprotocol_is_agreed_on():
    async with support.joined(subprotocols=["b", "a"], client={"subprotocols": ["a", "b"]}) as ends:
        assert [end.subprotocol for end in ends] == ["b", "b"]


async def test_logger_adapter_names_the_connection(caplog):
    logger = logging.getLogger("test.client")
    async with support.joined(client={"logger": logger}) as (client, _):
        with caplog.at_level("INFO", logger="test.client"):
            client.logger.info("spoken")
    (record,) = [each for each in caplog.records if each.message == "spoken"]
    assert record.websocket is client


async def test_connect_awaited_gives_a_connection_to_close():
    async with serving(support.until_closed) as (_, url):
        client = await connect(url)
        assert isinstance(client, ClientConnection)
        assert client.state is State.OPEN
        await client.close()


async def test_create_connection_makes_the_connection():
    class Mine(ClientConnection):
        def greet(self):
            return "hello"

    async with support.joined(client={"create_connection": Mine}) as (client, _):
        assert client.greet() == "hello"


async def test_attributes_can_be_added_to_a_connection():
    async with support.joined() as (client, server):
        client.user = server.user = "me"
        assert (client.user, server.user) == ("me", "me")


# Where to.


async def test_host_and_port_replace_where_to_connect_only():
    seen = []

    async def note(connection):
        seen.append(connection.request.headers["Host"])

    async with serving(note) as (server, _):
        port = server.sockets[0].getsockname()[1]
        async with connect("ws://example.invalid/", host="127.0.0.1", port=port) as client:
            await client.wait_closed()
    assert seen == ["example.invalid"]


async def test_sock_is_used_and_taken_over():
    async with serving() as (server, url):
        sock = socket.create_connection(server.sockets[0].getsockname())
        async with connect("ws://example.invalid/", sock=sock) as client:
            await client.send("through the socket")
            assert await client.recv() == "through the socket"
            assert sock.fileno() == -1


async def test_unix_connect_reaches_a_unix_server(tmp_path):
    from libws.asyncio.server import unix_serve

    path = tmp_path / "s"
    async with unix_serve(support.echo, path) as server:
        assert server.sockets[0].getsockname() == str(path)
        async with unix_connect(path) as client:
            assert client.request.headers["Host"] == "localhost"
            assert client.remote_address in (str(path), "")
            await client.send("x")
            assert await client.recv() == "x"


async def test_unix_connect_to_nothing_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        await unix_connect(tmp_path / "none")


# Arguments that are wrong.


@pytest.mark.parametrize(
    "uri", ["http://localhost/", "localhost", "ws:", "ws://", "ws://host/#part", "ws://[::1/"]
)
async def test_uri_that_is_none_is_invalid(uri):
    with pytest.raises(InvalidURI) as caught:
        await connect(uri)
    assert caught.value.uri == uri


async def test_unknown_argument_is_named():
    with pytest.raises(TypeError, match="'colour'"):
        connect("ws://localhost/", colour="red")


@pytest.mark.parametrize("name", ["local_addr", "family", "ssl_handshake_timeout", "extensions"])
async def test_argument_that_cannot_be_honoured_says_why(name):
    with pytest.raises(TypeError, match=f"{name}: "):
        connect("ws://localhost/", **{name: 1})


async def test_ssl_with_ws_and_no_ssl_with_wss_are_refused():
    with pytest.raises(ValueError, match="ssl"):
        connect("ws://localhost/", ssl=True)
    with pytest.raises(ValueError, match="ssl=None"):
        connect("wss://localhost/", ssl=None)


async def test_connect_never_awaited_warns():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        connect("ws://localhost/")


@pytest.mark.parametrize(
    "options",
    [
        {"open_timeout": -1},
        {"ping_interval": -0.5},
        {"max_size": 0},
        {"write_limit": (1, 2)},
        {"max_queue": (1, 2)},
        {"compression": "gzip"},
    ],
)
async def test_value_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        connect("ws://localhost/", **options)


async def test_subprotocols_as_one_str_is_refused():
    with pytest.raises(TypeError, match="subprotocols"):
        connect("ws://localhost/", subprotocols="chat")


async def test_proxy_that_is_none_is_invalid():
    with pytest.raises(InvalidProxy):
        await connect("ws://localhost/", proxy="gopher://localhost")


# Failures.


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_refused_connection_is_connection_refused_error():
    with pytest.raises(ConnectionRefusedError):
        await connect(f"ws://127.0.0.1:{closed_port()}/")


async def test_name_that_does_not_exist_is_gaierror():
    with pytest.raises(socket.gaierror):
        await connect("ws://does-not-exist.invalid/")


async def test_silent_server_is_timeout_error_after_open_timeout():
    async def script(reader, writer):
        await reader.read(-1)

    async with support.scripted_server(script) as url:
        with pytest.raises(TimeoutError):
            await connect(url, open_timeout=0.05)


async def answering(text):
    async def script(reader, writer):
        await support.read_head(reader)
        writer.write(text)
        await writer.drain()

    async with support.scripted_server(script) as url:
        await connect(url)


async def test_status_other_than_101_is_invalid_status_with_the_response():
    with pytest.raises(InvalidStatus) as caught:
        await answering(b"HTTP/1.1 404 Nope\r\nContent-Length: 2\r\nX-Why: gone\r\n\r\nno")
    response = caught.value.response
    assert (response.status_code, response.body) == (404, b"no")
    assert response.headers["X-Why"] == "gone"


async def test_what_is_not_http_is_invalid_message():
    with pytest.raises(InvalidMessage):
        await answering(b"220 mail server\r\n\r\n")


async def test_server_that_hangs_up_is_invalid_message_from_eof():
    with pytest.raises(InvalidMessage) as caught:
        await answering(b"")
    assert isinstance(caught.value.__cause__, EOFError)


@pytest.mark.parametrize(
    "fields, kind",
    [
        ("Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n", InvalidUpgrade),
        ("Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n", InvalidUpgrade),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", InvalidHeader),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n",
            InvalidHeader,
        ),
    ],
)
async def test_101_that_is_wrong_names_the_field(fields, kind):
    with pytest.raises(kind):
        await answering(f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n".encode())


async def test_subprotocol_that_was_not_offered_is_negotiation_error():
    async def script(reader, writer):
        await support.upgrade(reader, writer, "Sec-WebSocket-Protocol: other\r\n")
        await reader.read(-1)

    async with support.scripted_server(script) as url:
        with pytest.raises(NegotiationError):
            await connect(url, subprotocols=["mine"])


async def test_redirect_is_followed():
    async with serving() as (_, url):

        async def script(reader, writer):
            await support.read_head(reader)
            writer.write(f"HTTP/1.1 302 F\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

        async with support.scripted_server(script) as first, connect(first) as client:
            assert client.request.headers["Host"] == url.split("/")[2]


async def test_redirects_without_end_end():
    async def script(reader, writer):
        await support.read_head(reader)
        writer.write(b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with support.scripted_server(script) as url:
        with pytest.raises(InvalidHandshake):
            await connect(url)


@pytest.mark.parametrize("steps", range(1, 9))
async def test_connect_cancelled_after_any_number_of_steps_leaves_nothing(steps):
    async with serving(support.until_closed) as (server, url):
        core = server._core_loop
        opening = asyncio.create_task(connect(url)._open())
        for _ in range(steps):
            await asyncio.sleep(0)
        if opening.cancel():
            await asyncio.wait([opening])
        if not opening.cancelled():
            await opening.result().close()
        await support.eventually(lambda: core.connections == 0)


async def test_connect_within_a_timeout_that_passes_leaves_nothing():
    async def script(reader, writer):
        await reader.read(-1)

    async with support.scripted_server(script) as url:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connect(url)._open(), 0.02)


# Proxies.


async def proxy_script(reader, writer):
    first, fields = await support.read_head(reader)
    assert first.startswith("CONNECT ")
    if "proxy-authorization" not in fields:
        writer.write(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
        return await writer.drain()
    host, port = first.split()[1].rsplit(":", 1)
    to_server, from_server = (await asyncio.open_connection(host, int(port)))[::-1]
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

    async def copy(source, target):
        while data := await source.read(65536):
            target.write(data)
        target.close()

    try:
        await asyncio.gather(copy(reader, to_server), copy(from_server, writer))
    finally:
        to_server.close()


async def test_proxy_that_is_given_is_used():
    async with serving() as (_, url), support.scripted_server(proxy_script) as proxy:
        proxy = proxy.replace("ws://", "http://user:secret@")
        async with connect(url, proxy=proxy) as client:
            await client.send("x")
            assert await client.recv() == "x"


async def test_proxy_of_the_environment_is_used_unless_none(monkeypatch):
    async with serving() as (_, url), support.scripted_server(proxy_script) as proxy:
        monkeypatch.setenv("ws_proxy", proxy.replace("ws://", "http://"))
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(ProxyError):
            await connect(url)
        async with connect(url, proxy=None):
            pass


# async for.


def no_delays():
    while True:
        yield 0.0


async def test_async_for_connects_again_after_the_body():
    ended = 0

    async def count(connection):
        nonlocal ended
        await connection.wait_closed()
        assert connection.close_code == 1000
        ended += 1

    async with serving(count) as (_, url):
        rounds = 0
        async for client in connect(url):
            rounds += 1
            if rounds == 3:
                await client.close()
                break
        await support.eventually(lambda: ended == 3)


async def test_async_for_retries_what_may_pass_and_raises_what_will_not():
    answers = [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"", b"HTTP/1.1 403 No\r\n\r\n"]

    async def script(reader, writer):
        await support.read_head(reader)
        writer.write(answers.pop(0))
        await writer.drain()

    async with support.scripted_server(script) as url:
        with pytest.raises(InvalidStatus) as caught:
            async for _client in connect(url, reconnect_delays=no_delays):
                raise AssertionError("it cannot open")
    assert caught.value.response.status_code == 403
    assert not answers


async def test_async_for_raises_what_process_exception_gives():
    def replace(error):
        assert isinstance(error, ConnectionRefusedError)
        return LookupError("given up")

    with pytest.raises(LookupError, match="given up"):
        async for _client in connect(
            f"ws://127.0.0.1:{closed_port()}/", process_exception=replace
        ):
            pass


async def test_async_for_ends_with_the_failure_when_delays_end():
    with pytest.raises(ConnectionRefusedError):
        async for _client in connect(
            f"ws://127.0.0.1:{closed_port()}/", reconnect_delays=lambda: iter([0.0, 0.0])
        ):
            pass


def test_backoff_grows_to_a_minute():
    delays = backoff()
    first, *rest = [next(delays) for _ in range(12)]
    assert 0 <= first < 5
    assert rest == sorted(rest)
    assert rest[0] == 3
    assert rest[-1] == 60


@pytest.mark.parametrize(
    "error, retried",
    [
        (OSError(), True),
        (TimeoutError(), True),
        (asyncio.TimeoutError(), True),
        (InvalidMessage(), False),
        (InvalidURI("", ""), False),
        (ValueError(), False),
    ],
)
def test_process_exception_tells_what_may_pass(error, retried):
    assert (process_exception(error) is None) is retried


@pytest.mark.parametrize(
    "status, retried", [(499, 0), (500, 1), (501, 0), (502, 1), (503, 1), (504, 1), (505, 0)]
)
def test_process_exception_tells_which_statuses_may_pass(status, retried):
    error = InvalidStatus(libws.Response(status, "", Headers()))
    assert (process_exception(error) is None) == bool(retried)


def test_connect_has_the_parameters_of_websockets():
    websockets_client = pytest.importorskip("websockets.asyncio.client")
    theirs = inspect.signature(websockets_client.connect).parameters
    ours = inspect.signature(connect).parameters
    missing = {name for name in theirs if name not in ours} - {"extensions", "kwargs"}
    assert not missing
