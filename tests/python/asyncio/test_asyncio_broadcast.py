"""broadcast(): one message to many connections."""

import asyncio
import contextlib
import sys

import pytest
import support
from libws import Message, broadcast
from libws.asyncio.client import connect
from support import serving


@contextlib.asynccontextmanager
async def audience(size):
    """(server, its connections' clients)"""
    async with serving(support.until_closed) as (server, url), contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(url)) for _ in range(size)]
        await support.eventually(lambda: len(server.connections) == size)
        yield server, clients


@pytest.mark.parametrize("message", ["text", b"binary", bytearray(b"binary"), Message("prepared")])
async def test_broadcast_reaches_all(message):
    async with audience(3) as (server, clients):
        broadcast(server.connections, message)
        plain = "prepared" if isinstance(message, Message) else message
        assert [await client.recv() for client in clients] == [plain] * 3


@pytest.mark.parametrize("message, text, expected", [(b"a", True, "a"), ("a", False, b"a")])
async def test_broadcast_with_text_chooses_the_type(message, text, expected):
    async with audience(1) as (server, (client,)):
        broadcast(server.connections, message, text=text)
        assert await client.recv() == expected


@pytest.mark.parametrize("message", [1, None, ["a"], {"a": 1}])
async def test_broadcast_of_what_is_no_message_is_refused(message):
    async with audience(1) as (server, _):
        with pytest.raises(TypeError):
            broadcast(server.connections, message)


async def test_broadcast_passes_over_those_that_are_not_open():
    async with audience(2) as (server, (first, second)):
        everyone = server.connections
        await first.close()
        broadcast(everyone, "x", raise_exceptions=sys.version_info >= (3, 11))
        assert await second.recv() == "x"


async def in_fragments(connection, body):
    """Run body while `connection` is in the middle of a message in fragments."""
    go_on = asyncio.Event()

    async def pieces():
        yield "a"
        await go_on.wait()
        yield "b"

    sending = asyncio.create_task(connection.send(pieces()))
    await support.eventually(lambda: connection.fragmenting)
    body()
    go_on.set()
    await sending


async def test_broadcast_leaves_out_and_logs_those_in_the_middle_of_a_message(caplog):
    async with audience(2) as (server, clients):
        busy = next(iter(server.connections))
        await in_fragments(busy, lambda: broadcast(server.connections, "x"))
        assert sorted([await client.recv() for client in clients]) == ["ab", "x"]
    assert "broadcast" in caplog.text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
async def test_broadcast_raises_a_group_if_asked_to():
    async with audience(2) as (server, clients):
        busy = next(iter(server.connections))

        def body():
            with pytest.raises(ExceptionGroup) as caught:
                broadcast(server.connections, "x", raise_exceptions=True)
            (failure,) = caught.value.exceptions
            assert isinstance(failure, RuntimeError)

        await in_fragments(busy, body)
        assert sorted([await client.recv() for client in clients]) == ["ab", "x"]


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="ExceptionGroup is there")
async def test_broadcast_cannot_raise_groups_before_3_11():
    with pytest.raises(ValueError, match="3.11"):
        broadcast([], "x", raise_exceptions=True)
