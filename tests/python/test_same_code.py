"""The patterns that users of `websockets` know, run with `websockets` and with libws.

Each case is one body of code; only the package it imports from differs.
"""

import asyncio
import contextlib
import http
import importlib
import json
import logging
import socket
import threading
import types

import pytest
import support

PACKAGES = ("libws", "websockets")


@pytest.fixture(params=PACKAGES)
def lib(request):
    """The modules of one package under the names that both have."""
    pytest.importorskip(request.param)
    names = ("asyncio.client", "asyncio.server", "sync.client", "sync.server", "exceptions")
    modules = {name: importlib.import_module(f"{request.param}.{name}") for name in names}
    return types.SimpleNamespace(
        top=importlib.import_module(request.param),
        connect=modules["asyncio.client"].connect,
        unix_connect=modules["asyncio.client"].unix_connect,
        serve=modules["asyncio.server"].serve,
        unix_serve=modules["asyncio.server"].unix_serve,
        broadcast=modules["asyncio.server"].broadcast,
        basic_auth=modules["asyncio.server"].basic_auth,
        sync=types.SimpleNamespace(
            connect=modules["sync.client"].connect, serve=modules["sync.server"].serve
        ),
        errors=modules["exceptions"],
    )


def uri(server, path="/", scheme="ws"):
    return support.url_of(server, path, scheme)


# Asking and answering


async def test_greeting_one_question_one_answer(lib):
    async def hello(ws):
        name = await ws.recv()
        await ws.send(f"Hello {name}!")

    async with lib.serve(hello, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            await ws.send("Ada")
            assert await ws.recv() == "Hello Ada!"


async def test_echo_text_stays_text_and_bytes_stay_bytes(lib):
    async with lib.serve(support.echo, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            for message in ("text", b"bytes", "", b"", "\u20ac" * 5000):
                await ws.send(message)
                assert await ws.recv() == message


async def test_await_connect_is_closed_by_hand(lib):
    async with lib.serve(support.echo, "127.0.0.1", 0) as server:
        ws = await lib.connect(uri(server), proxy=None)
        await ws.send("x")
        assert await ws.recv() == "x"
        await ws.close(code=1000, reason="bye")
        assert ws.close_code == 1000


def test_greeting_with_threads(lib):
    def hello(ws):
        ws.send("Hello " + ws.recv())

    with lib.sync.serve(hello, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.socket.getsockname()[1]
            with lib.sync.connect(f"ws://127.0.0.1:{port}/", proxy=None) as ws:
                ws.send("Ada")
                assert ws.recv(timeout=support.DEADLINE_S) == "Hello Ada"
        finally:
            server.shutdown()
            thread.join(support.DEADLINE_S)


# Handlers


async def test_consumer_loop_ends_when_the_peer_closes(lib):
    got, ended = [], asyncio.Event()

    async def consume(ws):
        async for message in ws:
            got.append(message)
        ended.set()

    async with lib.serve(consume, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            for number in range(3):
                await ws.send(str(number))
        await ended.wait()
    assert got == ["0", "1", "2"]


async def test_producer_stops_with_connection_closed(lib):
    stopped = asyncio.Event()

    async def produce(ws):
        try:
            while True:
                await ws.send("tick")
                await asyncio.sleep(0)
        except lib.errors.ConnectionClosed:
            stopped.set()

    async with lib.serve(produce, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            assert await ws.recv() == "tick"
        await stopped.wait()


async def test_consumer_and_producer_side_by_side(lib):
    async def both(ws):
        queue = asyncio.Queue()

        async def consume():
            async for message in ws:
                await queue.put(message.upper())

        async def produce():
            while True:
                await ws.send(await queue.get())

        tasks = [asyncio.create_task(consume()), asyncio.create_task(produce())]
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async with lib.serve(both, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            for word in ("one", "two"):
                await ws.send(word)
                assert await ws.recv() == word.upper()


async def test_registration_of_those_who_are_there(lib):
    there = set()

    async def register(ws):
        there.add(ws)
        try:
            await ws.wait_closed()
        finally:
            there.remove(ws)

    async with lib.serve(register, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None), lib.connect(uri(server), proxy=None):
            while len(there) < 2:
                await asyncio.sleep(0)
        while there:
            await asyncio.sleep(0)


async def test_broadcast_reaches_everybody(lib):
    there = set()

    async def register(ws):
        there.add(ws)
        await ws.wait_closed()

    async with lib.serve(register, "127.0.0.1", 0) as server, contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(lib.connect(uri(server), proxy=None)) for _ in range(5)
        ]
        while len(there) < len(clients):
            await asyncio.sleep(0)
        lib.broadcast(there, "all of you")
        assert [await ws.recv() for ws in clients] == ["all of you"] * len(clients)


async def test_server_connections_are_listed(lib):
    async with lib.serve(support.until_closed, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None):
            while len(server.connections) < 1:
                await asyncio.sleep(0)
            (only,) = server.connections
            assert only.state.name == "OPEN"


async def test_routing_by_the_path_of_the_request(lib):
    async def route(ws):
        if ws.request.path == "/blue":
            await ws.send("blue")
        else:
            await ws.close(4404, "no such path")

    async with lib.serve(route, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server, "/blue"), proxy=None) as ws:
            assert await ws.recv() == "blue"
        async with lib.connect(uri(server, "/red"), proxy=None) as ws:
            with pytest.raises(lib.errors.ConnectionClosedError) as raised:
                await ws.recv()
            assert raised.value.rcvd.code == 4404
            assert raised.value.rcvd.reason == "no such path"


async def test_handler_that_fails_closes_with_1011(lib, caplog):
    async def fail(ws):
        raise RuntimeError("a bug")

    with caplog.at_level(logging.CRITICAL):
        async with lib.serve(fail, "127.0.0.1", 0) as server:
            async with lib.connect(uri(server), proxy=None) as ws:
                with pytest.raises(lib.errors.ConnectionClosedError) as raised:
                    await ws.recv()
    assert raised.value.rcvd.code == 1011


# The handshake


async def test_health_check_is_answered_without_an_upgrade(lib):
    def health_check(connection, request):
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")

    async with lib.serve(
        support.echo, "127.0.0.1", 0, process_request=health_check
    ) as server:
        host, port = server.sockets[0].getsockname()[:2]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"OK\n")
        async with lib.connect(uri(server), proxy=None) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_token_in_a_header_is_asked_for(lib):
    async def token(connection, request):
        if request.headers.get("Authorization") != "Bearer secret":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no token\n")

    async with lib.serve(support.echo, "127.0.0.1", 0, process_request=token) as server:
        with pytest.raises(lib.errors.InvalidStatus) as raised:
            await lib.connect(uri(server), proxy=None)
        assert raised.value.response.status_code == 401
        assert raised.value.response.body == b"no token\n"
        headers = {"Authorization": "Bearer secret"}
        async with lib.connect(uri(server), proxy=None, additional_headers=headers) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_user_and_password_of_the_uri_pass_basic_auth(lib):
    check = lib.basic_auth(realm="here", credentials=("ada", "secret"))
    async with lib.serve(support.echo, "127.0.0.1", 0, process_request=check) as server:
        with pytest.raises(lib.errors.InvalidStatus):
            await lib.connect(uri(server), proxy=None)
        address = uri(server).replace("ws://", "ws://ada:secret@")
        async with lib.connect(address, proxy=None) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_subprotocol_is_chosen_in_the_servers_order(lib):
    async with lib.serve(
        support.until_closed, "127.0.0.1", 0, subprotocols=["chat.v2", "chat.v1"]
    ) as server:
        async with lib.connect(
            uri(server), proxy=None, subprotocols=["chat.v1", "chat.v2"]
        ) as ws:
            assert ws.subprotocol == "chat.v2"


async def test_origin_that_is_not_welcome_is_refused(lib):
    async with lib.serve(
        support.until_closed, "127.0.0.1", 0, origins=["https://example.com"]
    ) as server:
        async with lib.connect(uri(server), proxy=None, origin="https://example.com"):
            pass
        with pytest.raises(lib.errors.InvalidStatus) as raised:
            await lib.connect(uri(server), proxy=None, origin="https://example.org")
        assert raised.value.response.status_code == 403


async def test_headers_are_added_to_the_answer(lib):
    def add(connection, request, response):
        response.headers["X-Seen"] = request.path

    async with lib.serve(
        support.until_closed, "127.0.0.1", 0, process_response=add, server_header="mine"
    ) as server:
        async with lib.connect(uri(server, "/p"), proxy=None) as ws:
            assert ws.response.headers["x-seen"] == "/p"
            assert ws.response.headers["Server"] == "mine"


# Connections


async def test_reconnecting_loop_goes_on_after_the_end_of_a_connection(lib):
    async def once(ws):
        await ws.send("welcome")

    async with lib.serve(once, "127.0.0.1", 0) as server:
        seen = 0
        async for ws in lib.connect(uri(server), proxy=None):
            try:
                async for message in ws:
                    assert message == "welcome"
                    seen += 1
            except lib.errors.ConnectionClosed:
                continue
            if seen == 3:
                await ws.close()
                break


async def test_ping_gives_the_latency(lib):
    async with lib.serve(support.echo, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            pong = await ws.ping()
            latency = await pong
            assert latency >= 0
            assert ws.latency == latency


async def test_fragments_arrive_as_one_message_or_one_by_one(lib):
    async def count(ws):
        await ws.send(await ws.recv())
        pieces = [piece async for piece in ws.recv_streaming()]
        await ws.send("".join(pieces))

    async def pieces():
        for piece in ("one ", "by ", "one"):
            yield piece

    async with lib.serve(count, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            await ws.send(["in ", "a ", "list"])
            assert await ws.recv() == "in a list"
            await ws.send(pieces())
            assert await ws.recv() == "one by one"


async def test_timeout_of_recv_loses_nothing(lib):
    async def late(ws):
        await ws.recv()
        await ws.send("late")
        await ws.wait_closed()

    async with lib.serve(late, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.recv(), timeout=0.01)
            await ws.send("now")
            assert await ws.recv() == "late"


async def test_message_above_max_size_closes_with_1009(lib):
    async with lib.serve(support.echo, "127.0.0.1", 0, max_size=10) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            await ws.send("x" * 10)
            assert await ws.recv() == "x" * 10
            await ws.send("x" * 11)
            with pytest.raises(lib.errors.ConnectionClosedError) as raised:
                await ws.recv()
            assert raised.value.rcvd.code == 1009


async def test_json_messages_of_a_counter(lib):
    async def counter(ws):
        value = 0
        async for message in ws:
            value += {"plus": 1, "minus": -1}[json.loads(message)["action"]]
            await ws.send(json.dumps({"type": "value", "value": value}))

    async with lib.serve(counter, "127.0.0.1", 0) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            for action in ("plus", "plus", "minus"):
                await ws.send(json.dumps({"action": action}))
            values = [json.loads(await ws.recv())["value"] for _ in range(3)]
    assert values == [1, 2, 1]


async def test_server_close_ends_everybody_with_1001(lib):
    server = await lib.serve(support.until_closed, "127.0.0.1", 0)
    async with lib.connect(uri(server), proxy=None) as ws:
        server.close()
        await server.wait_closed()
        with pytest.raises(lib.errors.ConnectionClosedOK) as raised:
            await ws.recv()
        assert raised.value.rcvd.code == 1001


# Ways to listen


async def test_unix_socket(lib, tmp_path):
    path = str(tmp_path / "socket")
    async with lib.unix_serve(support.echo, path):
        async with lib.unix_connect(path) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_given_socket_is_listened_on(lib):
    listener = socket.create_server(("127.0.0.1", 0))
    async with lib.serve(support.echo, sock=listener) as server:
        async with lib.connect(uri(server), proxy=None) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_tls_with_an_ssl_context_on_both_sides(lib, authority, server_context):
    async with lib.serve(support.echo, "127.0.0.1", 0, ssl=server_context) as server:
        async with lib.connect(
            uri(server, scheme="wss"), proxy=None, ssl=authority.context()
        ) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_compression_is_agreed_on_unless_turned_off(lib):
    async with lib.serve(support.echo, "127.0.0.1", 0) as server:
        for compression in ("deflate", None):
            async with lib.connect(uri(server), proxy=None, compression=compression) as ws:
                agreed = "Sec-WebSocket-Extensions" in ws.response.headers
                assert agreed is (compression is not None)
                await ws.send("x" * 1000)
                assert await ws.recv() == "x" * 1000
