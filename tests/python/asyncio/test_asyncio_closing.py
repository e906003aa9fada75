"""How connections end: codes, reasons, exceptions, and who hears of it."""

import asyncio
import contextlib

import pytest
import support
from libws import (
    Close,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
    State,
)
from libws.asyncio.client import connect
from support import frame, joined


async def test_close_by_the_client_is_ok_on_both_sides():
    async with joined(support.until_closed) as (client, server):
        await client.close(1000, "bye")
        assert (client.close_code, server.close_code) == (1000, 1000)
        assert server.close_reason == "bye"
        with pytest.raises(ConnectionClosedOK) as caught:
            await client.recv()
        assert caught.value.sent == Close(1000, "bye")
        assert caught.value.rcvd.code == 1000
        assert caught.value.rcvd_then_sent is False
        with pytest.raises(ConnectionClosedOK) as caught:
            await server.recv()
        assert caught.value.rcvd == Close(1000, "bye")
        assert caught.value.rcvd_then_sent is True


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
@pytest.mark.parametrize("closer", ["client", "server"])
async def test_close_code_arrives(code, closer):
    async with joined(support.until_closed) as (client, server):
        sides = {"client": client, "server": server}
        other = sides["server" if closer == "client" else "client"]
        await sides[closer].close(code)
        await other.wait_closed()
        assert other.close_code == code
        kind = ConnectionClosedOK if code < 1002 else ConnectionClosedError
        with pytest.raises(kind):
            await other.recv()
        with pytest.raises(kind):
            await other.send("late")
        with pytest.raises(kind):
            await other.ping()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
async def test_close_with_a_code_that_cannot_be_sent_changes_nothing(code):
    async with joined() as (client, _):
        with pytest.raises(ProtocolError):
            await client.close(code)
        assert client.state is State.OPEN


@pytest.mark.parametrize("size, fits", [(122, True), (123, True), (124, False)])
async def test_close_reason_is_bounded(size, fits):
    async with joined(support.until_closed) as (client, server):
        with contextlib.nullcontext() if fits else pytest.raises(ProtocolError):
            await client.close(1000, "r" * size)
        if fits:
            await server.wait_closed()
            assert server.close_reason == "r" * size


async def test_close_twice_and_at_once_is_harmless():
    async with joined(support.until_closed) as (client, _):
        await asyncio.gather(client.close(), client.close(1011))
        await client.close()
        assert client.close_code == 1000


async def test_close_cancelled_goes_on_closing():
    async with joined(support.until_closed) as (client, _):
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await client.wait_closed()
        assert client.close_code == 1000


async def test_state_and_codes_before_and_after_the_end():
    async with joined(support.until_closed) as (client, _):
        assert client.state is State.OPEN
        assert (client.close_code, client.close_reason) == (None, None)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        assert client.state is State.CLOSING
        await closing
        assert client.state is State.CLOSED
        assert (client.close_code, client.close_reason) == (1000, "")


async def test_send_while_closing_is_refused():
    async with joined(support.until_closed) as (client, _):
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionClosedOK) as caught:
            await client.send("late")
        assert caught.value.sent == Close(1000, "")
        await closing


async def test_recv_waiting_is_woken_by_the_end():
    async with joined(support.until_closed) as (client, server):
        waiting = asyncio.create_task(client.recv())
        await asyncio.sleep(0)
        await server.close()
        with pytest.raises(ConnectionClosedOK):
            await waiting


async def test_wait_closed_serves_several_and_survives_cancelling_one():
    async with joined(support.until_closed) as (client, server):
        first, second = (asyncio.create_task(client.wait_closed()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await server.close()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_leaving_the_block_closes_with_1000():
    async with joined(support.until_closed) as (client, server):
        async with client:
            pass
        assert server.close_code == 1000


async def test_leaving_the_block_by_an_exception_closes_with_1011():
    async with joined(support.until_closed) as (client, server):
        with pytest.raises(LookupError):
            async with client:
                raise LookupError
        assert server.close_code == 1011


# What the peer does wrong, or does not do.


async def client_of(script, check, **options):
    async def run(reader, writer):
        await support.upgrade(reader, writer)
        await script(reader, writer)

    async with support.scripted_server(run) as url:
        client = await connect(url, **{"close_timeout": 0.2, **options})
        try:
            await check(client)
        finally:
            await client.close()


async def test_peer_that_closes_without_a_code_is_ok_with_1005():
    async def script(reader, writer):
        writer.write(frame(8))
        await support.read_frame(reader)

    async def check(client):
        with pytest.raises(ConnectionClosedOK) as caught:
            await client.recv()
        assert caught.value.rcvd == Close(1005, "")
        assert (client.close_code, client.close_reason) == (1005, "")

    await client_of(script, check)


async def test_peer_that_vanishes_is_an_error_with_1006_and_a_cause():
    async def script(reader, writer):
        writer.transport.abort()

    async def check(client):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert (caught.value.rcvd, caught.value.sent) == (None, None)
        assert isinstance(caught.value.__cause__, (EOFError, OSError))
        assert str(caught.value.__cause__)
        assert client.close_code == 1006

    await client_of(script, check)


async def test_frame_that_the_protocol_forbids_is_answered_with_1002():
    async def script(reader, writer):
        writer.write(frame(3))
        assert (await support.read_frame(reader))[1][:2] == (1002).to_bytes(2, "big")

    async def check(client):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.sent.code == 1002
        assert isinstance(caught.value.__cause__, ProtocolError)

    await client_of(script, check)


async def test_text_that_is_not_utf8_is_answered_with_1007():
    async def script(reader, writer):
        writer.write(frame(1, b"\xff"))
        assert (await support.read_frame(reader))[1][:2] == (1007).to_bytes(2, "big")

    async def check(client):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.sent.code == 1007

    await client_of(script, check)


async def test_message_above_max_size_is_answered_with_1009_and_has_a_cause():
    async def script(reader, writer):
        writer.write(frame(2, b"12345"))
        assert (await support.read_frame(reader))[1][:2] == (1009).to_bytes(2, "big")

    async def check(client):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.sent.code == 1009
        assert isinstance(caught.value.__cause__, PayloadTooBig)

    await client_of(script, check, max_size=4)


async def test_peer_that_does_not_answer_a_close_is_dropped_after_close_timeout():
    async def script(reader, writer):
        await reader.read(-1)

    async def check(client):
        await client.close()
        assert client.close_code == 1006
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.sent == Close(1000, "")

    await client_of(script, check, close_timeout=0.05)


async def test_silent_peer_is_given_up_after_ping_interval_and_timeout():
    async def script(reader, writer):
        assert (await support.read_frame(reader))[0] == 9
        await reader.read(-1)

    async def check(client):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert isinstance(caught.value.__cause__, TimeoutError)

    await client_of(script, check, ping_interval=0.05, ping_timeout=0.05)


async def test_ping_interval_none_sends_no_ping():
    async def script(reader, writer):
        writer.write(frame(1, b"first"))
        # Had there been a ping it would come before the answer to this.
        await asyncio.sleep(0.1)
        writer.write(frame(9, b"asked"))
        assert await support.read_frame(reader) == (10, b"asked")

    async def check(client):
        assert await client.recv() == "first"
        with pytest.raises(ConnectionClosed):
            await client.recv()

    await client_of(script, check, ping_interval=None, ping_timeout=0.01)


# Pings.


async def test_ping_resolves_to_the_round_trip_time():
    async with joined() as (client, server):
        for side in (client, server):
            latency = await (await side.ping())
            assert 0 < latency < support.DEADLINE_S
            assert side.latency == latency


async def test_latency_before_any_ping_is_zero():
    async with joined() as (client, _):
        assert client.latency == 0


@pytest.mark.parametrize("data", [b"", b"x" * 125, "text", bytearray(b"b"), memoryview(b"m")])
async def test_ping_takes_what_is_text_or_bytes_like(data):
    async with joined() as (client, _):
        assert await (await client.ping(data)) > 0


async def test_ping_of_126_bytes_is_refused():
    async with joined() as (client, _):
        with pytest.raises(ProtocolError):
            await client.ping(b"x" * 126)
        with pytest.raises(ProtocolError):
            await client.pong(b"x" * 126)


async def test_ping_of_a_number_is_refused():
    async with joined() as (client, _):
        with pytest.raises(TypeError):
            await client.ping(4)


async def test_ping_with_the_same_data_twice_is_refused_until_answered():
    from libws import ConcurrencyError

    async with joined() as (client, _):
        answered = await client.ping("same")
        with pytest.raises(ConcurrencyError):
            await client.ping(b"same")
        await answered
        await (await client.ping("same"))


async def test_pong_answers_earlier_pings_too_and_no_later_one():
    async def script(reader, writer):
        for _ in range(3):
            await support.read_frame(reader)
        writer.write(frame(10, b"unknown") + frame(10, b"2") + frame(1, b"said"))
        await reader.read(-1)

    async def check(client):
        first, second, third = [await client.ping(data) for data in "123"]
        await first
        await second
        assert await client.recv() == "said"
        assert not third.done()

    await client_of(script, check, close_timeout=0.05)


async def test_ping_unanswered_at_the_end_raises_connection_closed():
    async def script(reader, writer):
        await support.read_frame(reader)
        writer.write(frame(8, (1000).to_bytes(2, "big")))
        await support.read_frame(reader)

    async def check(client):
        answered = await client.ping()
        dropped = await client.ping()
        with pytest.raises(ConnectionClosed):
            await answered
        del dropped

    await client_of(script, check)


async def test_ping_is_answered_while_the_application_does_not_read():
    async with joined(support.until_closed, max_queue=1) as (client, _):
        assert await (await client.ping()) > 0


async def test_pong_unasked_for_is_sent():
    async def script(reader, writer):
        assert await support.read_frame(reader) == (10, b"beat")
        writer.write(frame(1, b"seen"))
        await reader.read(-1)

    async def check(client):
        await client.pong("beat")
        assert await client.recv() == "seen"

    await client_of(script, check)
