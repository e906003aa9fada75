"""Sending and receiving between a client and a server of libws."""

import asyncio

import pytest
import support
from libws import ConcurrencyError, ConnectionClosedError, ConnectionClosedOK, Message, State
from support import frame, joined


@pytest.mark.parametrize(
    "message", ["", "text", "caf\u00e9 \U0001f600", b"", b"\0\xff", "x" * 70000]
)
async def test_echo_of_a_message_keeps_type_and_content(message):
    async with joined() as (client, _):
        await client.send(message)
        assert await client.recv() == message


@pytest.mark.parametrize("data", [bytearray(b"ab"), memoryview(b"ab")])
async def test_send_of_bytes_like_arrives_as_bytes(data):
    async with joined() as (client, _):
        await client.send(data)
        assert await client.recv() == b"ab"


async def test_send_text_true_of_bytes_arrives_as_str():
    async with joined() as (client, _):
        await client.send("\u00e9".encode(), text=True)
        assert await client.recv() == "\u00e9"


async def test_send_text_false_of_str_arrives_as_bytes():
    async with joined() as (client, _):
        await client.send("\u00e9", text=False)
        assert await client.recv() == "\u00e9".encode()


async def test_send_of_a_prepared_message_arrives():
    async with joined() as (client, _):
        await client.send(Message("prepared"))
        assert await client.recv() == "prepared"


@pytest.mark.parametrize("compress", [True, False, 1, 9])
async def test_send_with_compress_arrives_as_it_was(compress):
    async with joined() as (client, _):
        await client.send("a" * 5000, compress=compress)
        assert await client.recv() == "a" * 5000


async def test_recv_decode_false_of_text_gives_bytes():
    async with joined() as (client, _):
        await client.send("\u00e9")
        assert await client.recv(decode=False) == "\u00e9".encode()


async def test_recv_decode_true_of_binary_gives_str():
    async with joined() as (client, _):
        await client.send("\u00e9".encode())
        assert await client.recv(decode=True) == "\u00e9"


async def test_iteration_ends_when_the_peer_closes_with_1000():
    async def three(connection):
        for number in range(3):
            await connection.send(str(number))

    async with joined(three) as (client, _):
        assert [message async for message in client] == ["0", "1", "2"]


async def test_iteration_raises_when_the_peer_closes_with_an_error():
    async def fail(connection):
        await connection.close(1011, "broken")

    async with joined(fail) as (client, _):
        with pytest.raises(ConnectionClosedError) as caught:
            async for _message in client:
                pass
        assert (caught.value.code, caught.value.reason) == (1011, "broken")


@pytest.mark.parametrize("other", ["recv", "__anext__"])
async def test_second_receiver_is_refused_and_the_first_goes_on(other):
    async with joined() as (client, _):
        first = asyncio.create_task(client.recv())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await getattr(client, other)()
        await client.send("mine")
        assert await first == "mine"


async def test_recv_cancelled_loses_no_message():
    async with joined() as (client, _):
        waiting = asyncio.create_task(client.recv())
        await asyncio.sleep(0)
        await client.send("kept")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await client.recv() == "kept"


# Fragments.


async def collect(connection, **options):
    return [piece async for piece in connection.recv_streaming(**options)]


async def test_send_of_an_iterable_arrives_as_one_message():
    async with joined() as (client, _):
        await client.send(["a", "b", "\u00e9"])
        assert await client.recv() == "ab\u00e9"


async def test_send_of_an_async_iterable_arrives_as_one_message():
    async def pieces():
        for piece in (b"1", bytearray(b"2"), memoryview(b"3")):
            yield piece
            await asyncio.sleep(0)

    async with joined() as (client, _):
        await client.send(pieces())
        assert await client.recv() == b"123"


async def test_send_of_an_async_iterable_sends_each_piece_before_the_next_is_made():
    go_on = asyncio.Event()

    async def pieces():
        yield "first"
        await go_on.wait()
        yield "second"

    async with joined(support.until_closed) as (client, server):
        sending = asyncio.create_task(client.send(pieces()))
        streaming = server.recv_streaming()
        assert await streaming.__anext__() == "first"
        go_on.set()
        assert [piece async for piece in streaming] == ["second"]
        await sending


@pytest.mark.parametrize("text, expected", [(True, "ab"), (False, b"ab"), (None, b"ab")])
async def test_send_of_an_iterable_with_text_chooses_the_type(text, expected):
    async with joined() as (client, _):
        await client.send([b"a", b"b"], text=text)
        assert await client.recv() == expected


async def test_send_of_an_empty_iterable_sends_nothing():
    async with joined() as (client, _):
        await client.send([])
        await client.send("next")
        assert await client.recv() == "next"


@pytest.mark.parametrize("message", [{"a": 1}, 1, None, 1.5])
async def test_send_of_what_is_no_message_is_refused_and_changes_nothing(message):
    async with joined() as (client, _):
        with pytest.raises(TypeError):
            await client.send(message)
        await client.send("still open")
        assert await client.recv() == "still open"


async def test_send_of_an_iterable_with_a_bad_first_item_changes_nothing():
    async with joined() as (client, _):
        with pytest.raises(TypeError, match="not int"):
            await client.send([1])
        await client.send("still open")
        assert await client.recv() == "still open"


@pytest.mark.parametrize("items", [["a", b"b"], [b"a", "b"], ["a", 1]])
async def test_send_of_mixed_fragments_fails_the_connection_with_1011(items):
    async with joined(support.until_closed) as (client, server):
        with pytest.raises(TypeError):
            await client.send([*items, items[-1]])
        await client.wait_closed()
        assert server.close_code == 1011


async def test_send_of_an_iterator_that_raises_fails_the_connection_with_1011():
    async def pieces():
        yield "begun"
        raise LookupError("no more")

    async with joined(support.until_closed) as (client, server):
        with pytest.raises(LookupError, match="no more"):
            await client.send(pieces())
        await client.wait_closed()
        assert server.close_code == 1011


async def test_send_waits_while_another_message_is_sent_in_fragments():
    go_on = asyncio.Event()

    async def pieces():
        yield "a"
        await go_on.wait()
        yield "b"

    async def more():
        yield "c"

    async with joined() as (client, _):
        first = asyncio.create_task(client.send(pieces()))
        await support.eventually(lambda: client.fragmenting)
        others = [asyncio.create_task(client.send(each)) for each in ("x", ["y", "z"], more())]
        await asyncio.sleep(0)
        assert not any(other.done() for other in others)
        go_on.set()
        await asyncio.gather(first, *others)
        assert await client.recv() == "ab"
        assert {await client.recv() for _ in range(3)} == {"x", "yz", "c"}


async def test_close_during_a_message_in_fragments_sends_1011():
    async def pieces():
        yield "a"
        await asyncio.Event().wait()

    async with joined(support.until_closed) as (client, server):
        sending = asyncio.create_task(client.send(pieces()))
        await support.eventually(lambda: client.fragmenting)
        await client.close()
        assert server.close_code == 1011
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_recv_streaming_of_one_frame_gives_it():
    async with joined() as (client, _):
        await client.send("whole")
        assert await collect(client) == ["whole"]


async def test_recv_streaming_of_an_empty_message_gives_one_empty_piece():
    async with joined() as (client, _):
        await client.send("")
        assert await collect(client) == [""]


async def test_recv_streaming_cuts_text_between_characters_only():
    whole = "\U0001f600".encode()

    async def script(reader, writer):
        await support.upgrade(reader, writer)
        writer.write(frame(1, whole[:1], fin=False))
        writer.write(frame(0, whole[1:3], fin=False))
        writer.write(frame(0, whole[3:] + b"!"))
        await reader.read()

    from libws.asyncio.client import connect

    async with support.scripted_server(script) as url, connect(url, close_timeout=0.1) as client:
        assert "".join(await collect(client)) == "\U0001f600!"


@pytest.mark.parametrize("decode, expected", [(True, "ab"), (False, b"ab")])
async def test_recv_streaming_decode_chooses_the_type(decode, expected):
    async with joined() as (client, _):
        await client.send(["a", "b"])
        pieces = await collect(client, decode=decode)
        assert type(expected)().join(pieces) == expected


async def test_recv_after_recv_streaming_gives_whole_messages():
    async with joined() as (client, _):
        await client.send("first")
        assert await collect(client) == ["first"]
        await client.send(["a", "b"])
        assert await client.recv() == "ab"


async def test_recv_streaming_half_read_refuses_other_receivers():
    async with joined(support.until_closed) as (client, server):
        async def pieces():
            yield "a"
            await asyncio.Event().wait()

        sending = asyncio.create_task(client.send(pieces()))
        streaming = server.recv_streaming()
        assert await streaming.__anext__() == "a"
        with pytest.raises(ConcurrencyError):
            await server.recv()
        with pytest.raises(ConcurrencyError):
            await server.recv_streaming().__anext__()
        sending.cancel()
        await asyncio.wait([sending])
        await streaming.aclose()


# Flow control.


async def test_send_waits_above_write_limit_until_the_peer_reads():
    release = asyncio.Event()

    async def slow(connection):
        await release.wait()
        async for _message in connection:
            pass

    async with joined(slow, max_queue=1, client={"write_limit": 1024}) as (client, server):
        sent = 0

        async def flood():
            nonlocal sent
            while True:
                await client.send(b"x" * 65536, compress=False)
                sent += 1

        flooding = asyncio.create_task(flood())
        # The kernel's buffers are full when nothing more goes for many turns.
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)
        assert not flooding.done()
        assert client.buffered > 1024
        release.set()
        await support.eventually(lambda: sent > before + 10)
        flooding.cancel()
        await asyncio.wait([flooding])
        assert server.state is State.OPEN


@pytest.mark.parametrize("max_queue, high", [(1, 1), (4, 4), ((2, 1), 2)])
async def test_max_queue_stops_reading_and_nothing_is_lost(max_queue, high):
    async with joined(support.until_closed, max_queue=max_queue) as (client, server):
        for number in range(50):
            await client.send(str(number))
        await support.eventually(lambda: server.queued >= high)
        received = [await server.recv() for _ in range(50)]
        assert received == [str(number) for number in range(50)]


async def test_max_queue_none_never_stops_reading():
    async with joined(support.until_closed, max_queue=None) as (client, server):
        for number in range(500):
            await client.send(str(number))
        await support.eventually(lambda: server.queued == 500)


async def test_pause_on_a_full_queue_outlasts_recv():
    async with joined(support.until_closed, max_queue=(2, 1)) as (client, server):
        for number in range(3):
            await client.send(str(number))
        await support.eventually(lambda: server.queued == 3)
        server.pause()
        assert [await server.recv() for _ in range(3)] == ["0", "1", "2"]
        await client.send("later")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(server.recv(), 0.1)
        server.resume()
        assert await server.recv() == "later"


async def test_resume_on_a_full_queue_waits_for_room():
    async with joined(support.until_closed, max_queue=(2, 1)) as (client, server):
        for number in range(3):
            await client.send(str(number))
        await support.eventually(lambda: server.queued == 3)
        server.resume()
        await client.send("3")
        await asyncio.sleep(0.1)
        assert server.queued == 3
        assert [await server.recv() for _ in range(4)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("excess", [-1, 0, 1])
async def test_max_size_bounds_a_message(excess):
    async with joined(client={"max_size": 1000, "compression": None}) as (client, server):
        await server.send(b"x" * (1000 + excess))
        if excess <= 0:
            assert len(await client.recv()) == 1000 + excess
            return
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.sent.code == 1009


async def test_recv_after_close_gives_unread_messages_then_the_end():
    async with joined(support.until_closed) as (client, server):
        await server.send("one")
        await server.send("two")
        await support.eventually(lambda: client.queued == 2)
        await client.close()
        assert [await client.recv(), await client.recv()] == ["one", "two"]
        with pytest.raises(ConnectionClosedOK):
            await client.recv()
