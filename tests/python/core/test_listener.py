"""The callback path: listen() and open() of libws.core."""

from __future__ import annotations

import asyncio

import pytest
from support import RawClient, eventually

from libws import core
from libws.exceptions import ConnectionClosed, InvalidStatus


class Recorder(core.Listener):
    """Keeps what it was told."""

    def __init__(self):
        self.events = []
        self.messages = []
        self.closed = asyncio.get_running_loop().create_future()

    def on_open(self, connection):
        self.events.append("open")

    def on_message(self, connection, message):
        self.messages.append(message)

    def on_drain(self, connection):
        self.events.append("drain")

    def on_ping(self, connection, data):
        self.events.append(("ping", data))

    def on_pong(self, connection, data):
        self.events.append(("pong", data))

    def on_close(self, connection):
        self.events.append("close")
        self.closed.set_result(connection.close_info)


class Echo(Recorder):
    def on_message(self, connection, message):
        super().on_message(connection, message)
        connection.send_now(message)


def url_of(server, target="/"):
    return f"ws://127.0.0.1:{server.port}{target}"


async def test_messages_are_echoed_as_what_they_were():
    there, here = Echo(), Recorder()
    async with await core.listen(lambda request: there, "127.0.0.1", 0) as server:
        connection = await core.open(url_of(server), here)
        for message in ("text", b"bytes", "", "\u20ac" * 1000, bytes(1 << 18)):
            connection.send_now(message)
            await eventually(lambda: here.messages)
            assert here.messages.pop() == message
        assert len(server.connections) == 1
        connection.close_now(1000, "enough")
        info = await there.closed
        assert (info[1], info[5]) == (1000, "enough")
        await here.closed
        assert not server.connections
    assert here.events == there.events == ["open", "close"]


async def test_ping_and_pong_are_told():
    there, here = Recorder(), Recorder()
    async with await core.listen(lambda request: there, "127.0.0.1", 0) as server:
        connection = await core.open(url_of(server), here)
        connection.ping_now(b"x")
        await eventually(lambda: ("pong", b"x") in here.events)
        assert ("ping", b"x") in there.events


async def test_send_now_tells_to_slow_down_until_on_drain():
    there, here = Recorder(), Recorder()
    async with await core.listen(lambda request: there, "127.0.0.1", 0) as server:
        connection = await core.open(url_of(server), here, config=core.Config(deflate="off"))
        await eventually(lambda: server.connections)
        (peer,) = server.connections
        peer.pause()
        sent = 0
        while not connection.send_now(bytes(1 << 16)):
            sent += 1
            assert sent < 10_000
            await asyncio.sleep(0)
        assert "drain" not in here.events
        peer.resume()
        await eventually(lambda: "drain" in here.events)
        await eventually(lambda: len(there.messages) == sent + 1)


async def test_close_of_the_server_closes_all_with_its_code():
    listeners = [Recorder() for _ in range(5)]
    server = await core.listen(lambda request: Recorder(), "127.0.0.1", 0)
    for listener in listeners:
        await core.open(url_of(server), listener)
    server.close(1012)
    await server.wait_closed()
    for listener in listeners:
        assert (await listener.closed)[1] == 1012
    assert server.sockets == ()
    server.close()


async def test_factory_sees_the_request_and_can_refuse():
    seen = []

    def choose(request):
        seen.append((request.target, dict(request.headers).get("X-Who")))
        if request.target == "/teapot":
            request.respond(418)
        return Recorder() if request.target == "/yes" else None

    async with await core.listen(choose, "127.0.0.1", 0) as server:
        await core.open(url_of(server, "/yes"), Recorder(), headers=[("X-Who", "me")])
        for target, status in [("/no", 403), ("/teapot", 418)]:
            with pytest.raises(InvalidStatus) as refused:
                await core.open(url_of(server, target), Recorder())
            assert refused.value.response.status_code == status
    assert seen == [("/yes", "me"), ("/no", None), ("/teapot", None)]


async def test_plain_http_is_426():
    async with await core.listen(lambda request: Recorder(), "127.0.0.1", 0) as server:
        client = await RawClient.open(url_of(server))
        status, _, _ = await client.request()
        assert status == 426
        await client.close()


async def test_first_subprotocol_of_the_server_that_is_offered_is_agreed_on():
    options = {"subprotocols": ["c", "b", "a"]}
    async with await core.listen(lambda request: Recorder(), "127.0.0.1", 0, **options) as server:
        connection = await core.open(url_of(server), Recorder(), subprotocols=["a", "b"])
        assert connection.native_subprotocol == "b"


async def test_unix_socket_is_listened_on(tmp_path):
    path = str(tmp_path / "socket")
    async with await core.listen(lambda request: Echo(), path=path) as server:
        here = Recorder()
        connection = await core.open(f"ws+unix://{path}", here)
        connection.send_now("x")
        await eventually(lambda: here.messages == ["x"])
        with pytest.raises(RuntimeError, match="port"):
            _ = server.port


async def test_arguments_that_exclude_each_other_are_refused(tmp_path):
    with pytest.raises(ValueError, match="either"):
        await core.listen(lambda request: Recorder(), "127.0.0.1", 0, path=str(tmp_path / "s"))


async def test_failed_attempt_raises_and_calls_nothing():
    listener = Recorder()
    server = await core.listen(lambda request: Recorder(), "127.0.0.1", 0)
    url = url_of(server)
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError):
        await core.open(url, listener)
    assert listener.events == []


async def test_send_after_the_end_raises_connection_closed():
    here = Recorder()
    async with await core.listen(lambda request: Recorder(), "127.0.0.1", 0) as server:
        connection = await core.open(url_of(server), here)
        connection.close_now()
        await here.closed
        with pytest.raises(ConnectionClosed):
            connection.send_now("x")


async def test_self_signed_certificate_serves_who_trusts_it():
    tls = core.TLS.self_signed("127.0.0.1")
    here = Recorder()
    async with await core.listen(lambda request: Echo(), "127.0.0.1", 0, tls=tls) as server:
        url = url_of(server).replace("ws:", "wss:")
        connection = await core.open(url, here, tls=core.TLS(ca_pem=tls.certificate))
        connection.send_now("secret")
        await eventually(lambda: here.messages == ["secret"])
