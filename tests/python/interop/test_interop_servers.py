"""libws's clients against the servers of aiohttp, tornado and websockets."""

import contextlib
import queue

import pytest
from interop_support import (
    DEADLINE_S,
    LAYERS,
    MESSAGES,
    agreed_on_deflate,
    farewell,
    in_thread,
    our_client,
    same,
)
from libws import ConnectionClosedError, InvalidStatus


@contextlib.asynccontextmanager
async def aiohttp_server(ends):
    web = pytest.importorskip("aiohttp.web")

    async def handle(request):
        socket = web.WebSocketResponse(protocols=["chat"], max_msg_size=0)
        await socket.prepare(request)
        code = farewell(request.path)
        if code is not None:
            await socket.close(code=code, message=b"reason")
        async for message in socket:
            if message.type is web.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        ends.put(socket.close_code)
        return socket

    application = web.Application()
    application.router.add_get("/", handle)
    application.router.add_get("/close/{code}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "ws://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def tornado_server(ends):
    httpserver = pytest.importorskip("tornado.httpserver")
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler

    class Handler(WebSocketHandler):
        def get_compression_options(self):
            return {}

        def select_subprotocol(self, subprotocols):
            return "chat" if "chat" in subprotocols else None

        def open(self):
            code = farewell(self.request.path)
            if code is not None:
                self.close(code, "reason")

        async def on_message(self, message):
            await self.write_message(message, binary=isinstance(message, bytes))

        def on_close(self):
            ends.put(self.close_code)

    server = httpserver.HTTPServer(Application([("/", Handler), ("/close/.*", Handler)]))
    server.listen(0, "127.0.0.1")
    try:
        (listening,) = server._sockets.values()
        yield "ws://{}:{}".format(*listening.getsockname())
    finally:
        server.stop()
        await server.close_all_connections()


@contextlib.asynccontextmanager
async def websockets_server(ends):
    theirs = pytest.importorskip("websockets.asyncio.server")
    closed = pytest.importorskip("websockets.exceptions").ConnectionClosed

    async def handle(connection):
        code = farewell(connection.request.path)
        if code is not None:
            await connection.close(code, "reason")
        with contextlib.suppress(closed):
            async for message in connection:
                await connection.send(message)
        ends.put(connection.close_code)

    def refuse(connection, request):
        return connection.respond(404, "") if request.path == "/missing" else None

    async with theirs.serve(
        handle,
        "127.0.0.1",
        0,
        select_subprotocol=lambda _, offered: "chat" if "chat" in offered else None,
        process_request=refuse,
    ) as server:
        yield "ws://{}:{}".format(*server.sockets[0].getsockname())


SERVERS = {"aiohttp": aiohttp_server, "tornado": tornado_server, "websockets": websockets_server}


@pytest.fixture(params=SERVERS)
def theirs(request):
    """(URL without a path, the codes that the server saw connections end with)"""
    pytest.importorskip(request.param)
    ends = queue.Queue()
    with in_thread(lambda: SERVERS[request.param](ends)) as url:
        yield url, ends


@pytest.mark.parametrize("compression", ["deflate", "dedicated", None])
@pytest.mark.parametrize("layer", LAYERS)
def test_client_gets_every_message_back(theirs, layer, compression):
    url, ends = theirs
    with our_client(layer, url + "/", compression=compression) as client:
        assert agreed_on_deflate(client.response.headers) is (compression is not None)
        for message in MESSAGES:
            client.send(message)
            assert same(client.recv(), message)
        client.send(["frag", "ments"])
        assert client.recv() == "fragments"
        client.close()
        assert client.close_code == 1000
    assert ends.get(timeout=DEADLINE_S) == 1000


@pytest.mark.parametrize("layer", LAYERS)
def test_client_close_code_reaches_the_server(theirs, layer):
    url, ends = theirs
    with our_client(layer, url + "/", compression=None) as client:
        client.close(4002, "bye")
    assert ends.get(timeout=DEADLINE_S) == 4002


@pytest.mark.parametrize("layer", LAYERS)
def test_client_tells_the_code_and_the_reason_of_the_server(theirs, layer):
    url, ends = theirs
    with our_client(layer, url + "/close/4001", compression=None) as client:
        with pytest.raises(ConnectionClosedError) as caught:
            client.recv()
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "reason")
        assert caught.value.rcvd_then_sent is True
    ends.get(timeout=DEADLINE_S)


@pytest.mark.parametrize("offered, agreed", [("chat", "chat"), ("a chat", "chat"), ("", None)])
@pytest.mark.parametrize("layer", LAYERS)
def test_client_and_server_agree_on_a_subprotocol(theirs, layer, offered, agreed):
    url, ends = theirs
    options = {"subprotocols": offered.split() or None, "compression": None}
    with our_client(layer, url + "/", **options) as client:
        assert client.subprotocol == agreed
    ends.get(timeout=DEADLINE_S)


@pytest.mark.parametrize("layer", LAYERS)
def test_client_is_told_the_status_that_refused_it(theirs, layer):
    url, _ = theirs
    with pytest.raises(InvalidStatus) as caught, our_client(layer, url + "/missing"):
        pass
    assert caught.value.response.status_code == 404
