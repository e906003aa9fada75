"""The clients of websocket-client, aiohttp, tornado and websockets against libws's servers."""

import contextlib

import pytest
from interop_support import (
    DEADLINE_S,
    LAYERS,
    MESSAGES,
    Turns,
    agreed_on_deflate,
    our_server,
    same,
)


class WebsocketClient:
    """Of the package websocket-client, which blocks, and knows no compression."""

    compresses = False

    def __init__(self, url, compression, subprotocols):
        self._module = pytest.importorskip("websocket")
        self._socket = self._module.create_connection(
            url, timeout=DEADLINE_S, subprotocols=subprotocols
        )
        self.subprotocol = self._socket.getsubprotocol()
        self.compressed = False

    def send(self, message):
        (self._socket.send if isinstance(message, str) else self._socket.send_binary)(message)

    def recv(self):
        opcode, data = self._socket.recv_data()
        if opcode == self._module.ABNF.OPCODE_CLOSE:
            return int.from_bytes(data[:2], "big"), data[2:].decode()
        return data.decode() if opcode == self._module.ABNF.OPCODE_TEXT else data

    def close(self, code, reason):
        self._socket.close(code, reason.encode(), timeout=DEADLINE_S)

    def end(self):
        self._socket.close(timeout=DEADLINE_S)
        self._socket.shutdown()  # what the server has closed, close() leaves open


class OnLoop:
    """A client of asyncio: each call runs the loop until it is done."""

    compresses = True

    def __init__(self, url, compression, subprotocols):
        self._turns = Turns()
        try:
            self._turns.run(self._open(url, compression, subprotocols))
        except BaseException:
            self._turns.close()
            raise

    def send(self, message):
        self._turns.run(self._send(message))

    def recv(self):
        return self._turns.run(self._recv())

    def close(self, code, reason):
        self._turns.run(self._close(code, reason))

    def end(self):
        self._turns.run(self._end())
        self._turns.close()


class Aiohttp(OnLoop):
    async def _open(self, url, compression, subprotocols):
        aiohttp = pytest.importorskip("aiohttp")
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(
            url, compress=15 if compression else 0, protocols=subprotocols or (), max_msg_size=0
        )
        self._closing = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        self.subprotocol = self._socket.protocol
        self.compressed = bool(self._socket.compress)

    async def _send(self, message):
        sending = self._socket.send_str if isinstance(message, str) else self._socket.send_bytes
        await sending(message)

    async def _recv(self):
        message = await self._socket.receive()
        if message.type in self._closing:
            return message.data, message.extra
        return message.data

    async def _close(self, code, reason):
        await self._socket.close(code=code, message=reason.encode())

    async def _end(self):
        await self._socket.close()
        await self._session.close()


class Tornado(OnLoop):
    _ended = False

    async def _open(self, url, compression, subprotocols):
        websocket = pytest.importorskip("tornado.websocket")
        self._socket = await websocket.websocket_connect(
            url, compression_options={} if compression else None, subprotocols=subprotocols
        )
        self.subprotocol = self._socket.selected_subprotocol
        self.compressed = agreed_on_deflate(self._socket.headers)

    async def _send(self, message):
        await self._socket.write_message(message, binary=isinstance(message, bytes))

    async def _recv(self):
        message = await self._socket.read_message()
        if message is None:
            self._ended = True
            return self._socket.close_code, self._socket.close_reason
        return message

    async def _close(self, code, reason):
        self._socket.close(code, reason)
        await self._recv()

    async def _end(self):
        self._socket.close()
        if not self._ended:  # a second time it would wait for ever
            await self._recv()


class Websockets(OnLoop):
    async def _open(self, url, compression, subprotocols):
        theirs = pytest.importorskip("websockets.asyncio.client")
        self._closed = pytest.importorskip("websockets.exceptions").ConnectionClosed
        self._socket = await theirs.connect(
            url, compression=compression, subprotocols=subprotocols, proxy=None
        )
        self.subprotocol = self._socket.subprotocol
        self.compressed = agreed_on_deflate(self._socket.response.headers)

    async def _send(self, message):
        await self._socket.send(message)

    async def _recv(self):
        try:
            return await self._socket.recv()
        except self._closed as end:
            return end.rcvd.code, end.rcvd.reason

    async def _close(self, code, reason):
        await self._socket.close(code, reason)

    async def _end(self):
        await self._socket.close()


CLIENTS = {
    "websocket-client": ("websocket", WebsocketClient),
    "aiohttp": ("aiohttp", Aiohttp),
    "tornado": ("tornado", Tornado),
    "websockets": ("websockets", Websockets),
}


@pytest.fixture(params=CLIENTS)
def connect(request):
    """with connect(url, ...) as client: a client of the package."""
    module, kind = CLIENTS[request.param]
    pytest.importorskip(module)

    @contextlib.contextmanager
    def connect_one(url, compression=None, subprotocols=None):
        client = kind(url, compression, subprotocols)
        try:
            yield client
        finally:
            client.end()

    connect_one.compresses = kind.compresses
    return connect_one


@pytest.fixture(params=LAYERS)
def layer(request):
    return request.param


@pytest.mark.parametrize("served", ["deflate", "dedicated", None])
@pytest.mark.parametrize("wanted", ["deflate", None])
def test_client_gets_every_message_back(connect, layer, wanted, served):
    with our_server(layer, compression=served) as server, connect(server.url(), wanted) as client:
        both = wanted is not None and served is not None and connect.compresses
        assert client.compressed is both
        for message in MESSAGES:
            client.send(message)
            assert same(client.recv(), message)


def test_client_close_code_reaches_the_server(connect, layer):
    with our_server(layer) as server, connect(server.url()) as client:
        client.close(4002, "bye")
        assert server.end() == (4002, "bye")


def test_client_tells_the_code_and_the_reason_of_the_server(connect, layer):
    with our_server(layer) as server, connect(server.url("/close/4001")) as client:
        assert client.recv() == (4001, "reason")


@pytest.mark.parametrize("offered, agreed", [("chat", "chat"), ("a chat", "chat"), ("", None)])
def test_client_and_server_agree_on_a_subprotocol(connect, layer, offered, agreed):
    with our_server(layer) as server:
        with connect(server.url(), subprotocols=offered.split() or None) as client:
            assert client.subprotocol == agreed
