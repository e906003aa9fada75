"""FastAPI under uvicorn with libws, seen by clients of the `websockets` library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import queue
import socket
import ssl
import struct
import subprocess
import threading
import urllib.request

import pytest

uvicorn = pytest.importorskip("uvicorn")
fastapi = pytest.importorskip("fastapi")
websockets = pytest.importorskip("websockets")

from fastapi import FastAPI, WebSocket, WebSocketDisconnect  # noqa: E402
from fastapi.responses import JSONResponse  # noqa: E402
from starlette.websockets import WebSocketClose  # noqa: E402
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

PATIENCE = 10
MAX_SIZE = 4096
MAX_QUEUE = 4

seen: queue.Queue  # what the application has to tell; a new one for each test
go_on = threading.Event()  # what it waits for

app = FastAPI()


@app.get("/plain")
async def plain():
    return {"plain": True}


@app.websocket("/text")
async def echo_text(ws: WebSocket):
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)


@app.websocket("/bytes")
async def echo_bytes(ws: WebSocket):
    await ws.accept()
    async for data in ws.iter_bytes():
        await ws.send_bytes(data)


@app.websocket("/json")
async def echo_json(ws: WebSocket):
    await ws.accept()
    async for value in ws.iter_json():
        await ws.send_json(value)


@app.websocket("/items/{item}")
async def item(ws: WebSocket, item: int, q: str = ""):
    await ws.accept(headers=[(b"x-item", b"%d" % item)])
    await ws.send_json({"item": item, "q": q})
    await ws.close()


@app.websocket("/scope")
async def scope(ws: WebSocket):
    await ws.accept()
    names = ["type", "scheme", "http_version", "path", "subprotocols", "asgi", "extensions"]
    told = {name: ws.scope[name] for name in names}
    for name in ("raw_path", "query_string"):
        told[name] = ws.scope[name].decode()
    told["headers"] = [(name.decode(), value.decode()) for name, value in ws.scope["headers"]]
    told["client"], told["server"] = ws.scope["client"], ws.scope["server"]
    await ws.send_json(told)
    await ws.receive()


@app.websocket("/subprotocol/{name}")
async def subprotocol(ws: WebSocket, name: str):
    await ws.accept(subprotocol=name)
    await ws.send_text("accepted")


@app.websocket("/subprotocol-field/{name}")
async def subprotocol_field(ws: WebSocket, name: str):
    await ws.accept(headers=[(b"Sec-WebSocket-Protocol", name.encode())])


@app.websocket("/refuse")
async def refuse(ws: WebSocket):
    await ws.close()


@app.websocket("/deny")
async def deny(ws: WebSocket):
    await ws.send_denial_response(
        JSONResponse({"why": "no"}, 401, headers={"www-authenticate": "Basic"})
    )


@app.websocket("/close/{code}/{reason}")
async def close(ws: WebSocket, code: int, reason: str):
    await ws.accept()
    await ws.close(code, reason)


@app.websocket("/raise")
async def raise_open(ws: WebSocket):
    await ws.accept()
    raise RuntimeError("as told")


@app.websocket("/raise-before")
async def raise_connecting(ws: WebSocket):
    raise RuntimeError("as told")


@app.websocket("/return")
async def return_open(ws: WebSocket):
    await ws.accept()


@app.websocket("/watch")
async def watch(ws: WebSocket):
    """Tells how it ends, and what comes of going on."""
    tell = seen.put
    await ws.accept()
    try:
        while True:
            await ws.receive_text()
    except WebSocketDisconnect as end:
        tell((end.code, end.reason))
    tell(await ws._receive())
    try:
        await ws._send({"type": "websocket.send", "text": "anyone?"})
    except OSError as error:
        tell(type(error).__name__)


@app.websocket("/wait")
async def wait(ws: WebSocket):
    """Receives nothing until it is told to, then everything."""
    tell = seen.put
    await ws.accept()
    await asyncio.to_thread(go_on.wait, PATIENCE)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            tell(await ws.receive_text())
    tell("end")


@app.websocket("/late")
async def late(ws: WebSocket):
    await asyncio.to_thread(go_on.wait, PATIENCE)
    await ws.accept()
    await ws.send_text(await ws.receive_text())


@app.websocket("/flood")
async def flood(ws: WebSocket):
    tell = seen.put
    await ws.accept()
    sent = 0
    try:
        while True:
            await ws.send_bytes(bytes(1 << 16))
            sent += 1
            tell(sent)
    except (WebSocketDisconnect, OSError):
        tell("end")


@app.websocket("/late-deny")
async def wrong_answers(ws: WebSocket):
    tell = seen.put
    try:
        await ws._send({"type": "websocket.send", "text": "before accept"})
    except RuntimeError as error:
        tell(str(error))
    try:
        await ws._send({"type": "websocket.http.response.start", "status": 101, "headers": []})
    except RuntimeError as error:
        tell(str(error))
    await WebSocketClose()(ws.scope, ws._receive, ws._send)
    try:
        await ws._send({"type": "websocket.accept"})
    except RuntimeError as error:
        tell(str(error))


class Server(uvicorn.Server):
    """uvicorn in a thread of its own, on a port that the system chose."""

    def __init__(self, **settings):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.ready = threading.Event()
        defaults = {
            "ws": "libws.integrations.uvicorn:WebSocketProtocol",
            "log_config": None,
            "ws_max_size": MAX_SIZE,
            "ws_max_queue": MAX_QUEUE,
        }
        super().__init__(uvicorn.Config(app, **{**defaults, **settings}))
        self.thread = threading.Thread(target=self.run, kwargs={"sockets": [self.sock]})

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        self.ready.set()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self.should_exit = True
        self.thread.join(2 * PATIENCE)
        assert not self.thread.is_alive()

    def connect(self, path, **options):
        options.setdefault("open_timeout", PATIENCE)
        options.setdefault("close_timeout", PATIENCE)
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, **options)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request):
    pytest.importorskip(request.param)
    with Server(loop=request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def clean():
    global seen
    seen = queue.Queue()  # a handler of the test before may still write to the old one
    go_on.clear()
    yield
    go_on.set()


def told():
    return seen.get(timeout=PATIENCE)


def closing_of(ws):
    """Code and reason that the server's Close has."""
    with pytest.raises(ConnectionClosed) as closed:
        ws.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def only_connection(server):
    """The server's side of the one connection that there is, once it is upgraded.

    Those of earlier tests may still be on their way out.
    """
    found = []

    def look():
        present = list(server.server_state.connections)
        found[:] = [each for each in present if not getattr(each, "_ending", False)]
        return [type(each).__name__ for each in found] == ["WebSocketProtocol"]

    _wait_until(look)
    return found[0]


def refusal_of(server, path, **options):
    with pytest.raises(InvalidStatus) as refused:
        server.connect(path, **options)
    return refused.value.response


# ---- messages ----


@pytest.mark.parametrize("text", ["", "hello", "h\u00e9llo \U0001f600", "x" * (MAX_SIZE // 2)])
def test_text_is_echoed(server, text):
    with server.connect("/text") as ws:
        ws.send(text)
        assert ws.recv(timeout=PATIENCE) == text


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, MAX_SIZE])
def test_bytes_are_echoed(server, size):
    data = bytes(i % 256 for i in range(size))
    with server.connect("/bytes") as ws:
        ws.send(data)
        assert ws.recv(timeout=PATIENCE) == data


def test_json_is_echoed(server):
    with server.connect("/json") as ws:
        ws.send('{"a": [1, "\u00e9"]}')
        assert json.loads(ws.recv(timeout=PATIENCE)) == {"a": [1, "\u00e9"]}


def test_fragments_arrive_as_one_message(server):
    with server.connect("/text") as ws:
        ws.send(["one ", "two ", "three"])
        assert ws.recv(timeout=PATIENCE) == "one two three"


def test_many_messages_at_once_keep_their_order(server):
    with server.connect("/text") as ws:
        for i in range(20 * MAX_QUEUE):
            ws.send(str(i))
        for i in range(20 * MAX_QUEUE):
            assert ws.recv(timeout=PATIENCE) == str(i)


def test_many_clients_at_once_are_served(server):
    async def one(n):
        url = f"ws://127.0.0.1:{server.port}/text"
        async with websockets.connect(url, proxy=None, open_timeout=PATIENCE) as ws:
            for i in range(20):
                await ws.send(f"{n} {i}")
                assert await ws.recv() == f"{n} {i}"

    async def all_of_them():
        await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(100))), 3 * PATIENCE)

    asyncio.run(all_of_them())


def test_plain_http_is_left_to_uvicorn(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/plain", timeout=PATIENCE) as r:
        assert json.load(r) == {"plain": True}


# ---- limits ----


@pytest.mark.parametrize("size", [MAX_SIZE - 1, MAX_SIZE])
def test_message_up_to_ws_max_size_is_taken(server, size):
    with server.connect("/text") as ws:
        ws.send("x" * size)
        assert len(ws.recv(timeout=PATIENCE)) == size


def test_message_above_ws_max_size_is_1009_for_both(server):
    with server.connect("/watch") as ws:
        ws.send("x" * (MAX_SIZE + 1))
        assert closing_of(ws)[0] == 1009
    assert told()[0] == 1009


def test_text_that_is_not_utf8_is_1007_for_both(server):
    with server.connect("/watch") as ws:
        ws.send(b"\xff", text=True)
        assert closing_of(ws)[0] == 1007
    assert told()[0] == 1007


def test_application_that_is_slow_is_not_flooded(server):
    count = 50
    text = "x" * MAX_SIZE
    with server.connect("/wait", compression=None) as ws:
        for _ in range(count):
            ws.send(text)
        # The other thread's: looked at while it holds still, because its queue is full.
        connection = only_connection(server)
        _wait_until(lambda: len(connection._queue) == MAX_QUEUE)
        assert not connection.transport.is_reading()
        go_on.set()
        assert [told() for _ in range(count)] == [text] * count
    assert told() == "end"


def test_messages_that_decompress_to_much_wait_compressed(server):
    count = 200
    text = "x" * MAX_SIZE
    with server.connect("/wait") as ws:
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        for _ in range(count):
            ws.send(text)
        connection = only_connection(server)
        _wait_until(lambda: connection._held)
        assert len(connection._queue) == MAX_QUEUE
        go_on.set()
        assert [told() for _ in range(count)] == [text] * count


def test_client_that_does_not_read_holds_the_application_back(server):
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as raw:
        raw.settimeout(PATIENCE)
        raw.sendall(_handshake("/flood", server.port))
        last = 0
        with contextlib.suppress(queue.Empty):
            while True:
                last = seen.get(timeout=1)
                assert last < 1000, "64 MB are queued for a client that reads nothing"
        before = last
        while seen.empty():
            assert raw.recv(1 << 20)
        assert told() > before
    while told() != "end":
        pass


def _handshake(path, port):
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def _wait_until(condition):
    """For what another thread does and nothing tells; bounded."""
    tick = threading.Event()
    for _ in range(100 * PATIENCE):
        if condition():
            return
        tick.wait(0.01)
    pytest.fail("it did not happen in time")


# ---- the handshake ----


def test_path_parameter_query_and_header_of_accept(server):
    with server.connect("/items/7?q=a%20b") as ws:
        assert ws.response.headers["x-item"] == "7"
        assert json.loads(ws.recv(timeout=PATIENCE)) == {"item": 7, "q": "a b"}
        assert closing_of(ws) == (1000, "")


def test_default_headers_of_uvicorn_are_sent(server):
    with server.connect("/text") as ws:
        assert ws.response.headers["server"] == "uvicorn"
        assert "date" in ws.response.headers


def test_scope_tells_of_the_request(server):
    options = {"additional_headers": {"X-Test": "One"}, "subprotocols": ["a", "b"]}
    with server.connect("/sco%70e?x=%41", **options) as ws:
        scope = json.loads(ws.recv(timeout=PATIENCE))
        local = list(ws.local_address)
    assert scope["type"] == "websocket"
    assert scope["scheme"] == "ws"
    assert scope["http_version"] == "1.1"
    assert scope["path"] == "/scope"
    assert scope["raw_path"] == "/sco%70e"
    assert scope["query_string"] == "x=%41"
    assert scope["subprotocols"] == ["a", "b"]
    assert ["x-test", "One"] in scope["headers"]
    assert scope["client"] == local
    assert scope["server"] == ["127.0.0.1", server.port]
    assert scope["asgi"]["spec_version"] == "2.4"
    assert "websocket.http.response" in scope["extensions"]


@pytest.mark.parametrize("path", ["/subprotocol/b", "/subprotocol-field/b"])
def test_subprotocol_that_was_offered_is_agreed_on(server, path):
    with server.connect(path, subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == "b"


def test_subprotocol_that_was_not_offered_is_500_and_logged(server, caplog):
    assert refusal_of(server, "/subprotocol/c", subprotocols=["a"]).status_code == 500
    assert "'c' was not offered" in caplog.text


def test_close_before_accept_is_403(server):
    assert refusal_of(server, "/refuse").status_code == 403


def test_unknown_path_is_403(server):
    assert refusal_of(server, "/nowhere").status_code == 403


def test_denial_response_is_sent_whole(server):
    response = refusal_of(server, "/deny")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Basic"
    assert response.headers.get_all("content-length") == ["12"]
    assert json.loads(response.body) == {"why": "no"}


def test_exception_before_accept_is_500_and_logged(server, caplog):
    assert refusal_of(server, "/raise-before").status_code == 500
    assert "Exception in ASGI application" in caplog.text


def test_bytes_before_the_answer_are_kept(server):
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as raw:
        raw.settimeout(PATIENCE)
        raw.sendall(_handshake("/late", server.port))
        connection = only_connection(server)
        for part in (b"\x81\x82\0\0", b"\0\0hi"):
            raw.sendall(part)
        _wait_until(lambda: connection._held)
        go_on.set()
        received = b""
        while b"\x81\x02hi" not in received:
            part = raw.recv(4096)
            assert part
            received += part
        assert received.startswith(b"HTTP/1.1 101 ")


def test_messages_out_of_order_are_refused_with_their_names(server):
    assert refusal_of(server, "/late-deny").status_code == 403
    assert "websocket.send" in told()
    assert "101" in told()
    assert "websocket.accept" in told()


@pytest.mark.parametrize("deflate", [True, False])
def test_ws_per_message_deflate_decides_on_compression(deflate):
    with Server(ws_per_message_deflate=deflate) as server, server.connect("/text") as ws:
        ws.send("x" * MAX_SIZE)
        assert ws.recv(timeout=PATIENCE) == "x" * MAX_SIZE
        assert ("Sec-WebSocket-Extensions" in ws.response.headers) is deflate


def test_accept_and_refusal_are_logged(server, caplog):
    caplog.set_level(logging.INFO, "uvicorn.error")
    with server.connect("/items/7?q=1"):
        pass
    refusal_of(server, "/refuse")
    assert '"WebSocket /items/7?q=1" [accepted]' in caplog.text
    assert '"WebSocket /refuse" 403' in caplog.text


# ---- endings ----


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_close_has_the_code_and_reason_of_the_application(server, code):
    with server.connect(f"/close/{code}/because") as ws:
        assert closing_of(ws) == (code, "because")


def test_close_with_a_code_that_must_not_be_sent_is_1011(server, caplog):
    with server.connect("/close/1006/x") as ws:
        assert closing_of(ws)[0] == 1011
    assert "1006" in caplog.text


def test_exception_is_1011_and_logged(server, caplog):
    with server.connect("/raise") as ws:
        assert closing_of(ws)[0] == 1011
    assert "Exception in ASGI application" in caplog.text
    assert "as told" in caplog.text


def test_return_without_close_is_1000(server):
    with server.connect("/return") as ws:
        assert closing_of(ws) == (1000, "")


@pytest.mark.parametrize("code", [1000, 1001, 4000])
def test_close_of_the_client_is_seen_with_code_and_reason(server, code):
    with server.connect("/watch") as ws:
        ws.close(code, "enough")
    assert told() == (code, "enough")
    again = told()
    assert (again["type"], again["code"]) == ("websocket.disconnect", code)
    assert told() == "ClientDisconnected"


def test_client_that_vanishes_is_1006(server):
    raw = socket.create_connection(("127.0.0.1", server.port))
    raw.sendall(_handshake("/watch", server.port))
    raw.recv(4096)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    assert told()[0] == 1006


def test_client_that_vanishes_before_the_answer_leaves_no_trace(server, caplog):
    raw = socket.create_connection(("127.0.0.1", server.port))
    raw.sendall(_handshake("/late", server.port))
    only_connection(server)
    raw.close()
    _wait_until(lambda: not server.server_state.connections)
    go_on.set()
    _wait_until(lambda: not server.server_state.tasks)
    assert "Task exception" not in caplog.text


def test_connections_that_ended_are_forgotten(server):
    with server.connect("/text"):
        assert server.server_state.connections
    _wait_until(lambda: not server.server_state.connections and not server.server_state.tasks)


def test_shutdown_is_1012_for_both():
    with Server() as server:
        with server.connect("/watch") as ws:
            server.should_exit = True
            assert closing_of(ws) == (1012, "")
            assert told() == (1012, "")


def test_shutdown_before_the_answer_is_503():
    with Server() as server:
        raw = socket.create_connection(("127.0.0.1", server.port))
        raw.settimeout(PATIENCE)
        raw.sendall(_handshake("/late", server.port))
        _wait_until(lambda: len(server.server_state.tasks) == 1)
        server.should_exit = True
        assert raw.recv(4096).startswith(b"HTTP/1.1 503 ")
        raw.close()
        go_on.set()


def test_shutdown_timeout_cancels_the_application():
    with Server(timeout_graceful_shutdown=1) as server:
        with server.connect("/wait") as ws:
            _wait_until(lambda: len(server.server_state.tasks) == 1)
            server.should_exit = True
            assert closing_of(ws)[0] == 1012
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


# ---- time ----


def test_silence_is_pinged():
    with Server(ws_ping_interval=0.05, ws_ping_timeout=PATIENCE) as server:
        with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as raw:
            raw.settimeout(PATIENCE)
            raw.sendall(_handshake("/watch", server.port))
            received = b""
            while b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n"):
                received += raw.recv(4096)
            assert received.split(b"\r\n\r\n", 1)[1][0] == 0x89


def test_client_that_does_not_answer_pings_is_dropped():
    with Server(ws_ping_interval=0.05, ws_ping_timeout=0.05) as server:
        with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as raw:
            raw.settimeout(PATIENCE)
            raw.sendall(_handshake("/watch", server.port))
            while raw.recv(4096):
                pass
    assert told()[0] == 1006


def test_client_that_answers_pings_stays():
    with Server(ws_ping_interval=0.05, ws_ping_timeout=0.5) as server:
        with server.connect("/text", ping_interval=None) as ws:
            with pytest.raises(TimeoutError):
                ws.recv(timeout=1.5)
            ws.send("still here")
            assert ws.recv(timeout=PATIENCE) == "still here"


def test_time_in_which_reading_is_paused_is_not_silence():
    with Server(ws_ping_interval=0.05, ws_ping_timeout=0.05) as server:
        with server.connect("/wait", ping_interval=None) as ws:
            for i in range(3 * MAX_QUEUE):
                ws.send(str(i))
            connection = only_connection(server)
            _wait_until(lambda: connection._held)
            threading.Event().wait(0.5)  # several times the silence that is allowed
            go_on.set()
            assert [told() for _ in range(3 * MAX_QUEUE)] == [str(i) for i in range(3 * MAX_QUEUE)]


# ---- TLS ----


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", cert]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    return cert, key


def test_tls_serves_and_closes(certificate):
    cert, key = certificate
    context = ssl.create_default_context(cafile=cert)
    settings = {"ssl_certfile": cert, "ssl_keyfile": key}
    with Server(**settings) as server:
        url = f"wss://127.0.0.1:{server.port}"
        with connect(url + "/scope", ssl=context, proxy=None) as ws:
            assert json.loads(ws.recv(timeout=PATIENCE))["scheme"] == "wss"
            ws.send("seen")
            assert closing_of(ws) == (1000, "")
        with connect(url + "/text", ssl=context, proxy=None) as ws:
            for i in range(10 * MAX_QUEUE):
                ws.send(str(i))
            assert [ws.recv(timeout=PATIENCE) for _ in range(10 * MAX_QUEUE)] == [
                str(i) for i in range(10 * MAX_QUEUE)
            ]
