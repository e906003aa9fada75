"""Cancelling at every moment: no message is lost, none comes twice, nothing hangs."""

import asyncio
import random

import pytest
from support import joined


async def cancel_after(coroutine, turns):
    """Cancel it after some turns of the loop: its result, or None."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


@pytest.mark.parametrize("seed", range(4))
async def test_recv_cancelled_at_any_turn_loses_nothing(seed):
    choice = random.Random(seed)
    count = 300

    async def handler(connection):
        for i in range(count):
            await connection.send(str(i))
            if choice.random() < 0.5:
                await asyncio.sleep(0)
        await connection.wait_closed()

    async with joined(handler) as (client, _):
        got = []
        while len(got) < count:
            message = await cancel_after(client.recv(), choice.randrange(5))
            if message is not None:
                got.append(int(message))
        assert got == list(range(count))


@pytest.mark.parametrize("seed", range(4))
async def test_recv_with_a_timeout_loses_nothing(seed):
    choice = random.Random(seed)
    count = 300

    async def handler(connection):
        for i in range(count):
            await connection.send(str(i))
            if choice.random() < 0.3:
                await asyncio.sleep(choice.random() * 0.001)
        await connection.wait_closed()

    async with joined(handler) as (client, _):
        got = []
        while len(got) < count:
            try:
                got.append(int(await asyncio.wait_for(client.recv(), choice.random() * 0.001)))
            except (asyncio.TimeoutError, TimeoutError):
                pass
        assert got == list(range(count))


@pytest.mark.parametrize("seed", range(4))
async def test_send_cancelled_at_any_turn_sends_once_or_not_at_all(seed):
    choice = random.Random(seed)
    count = 200
    filling = "x" * 3000
    received = []

    async def handler(connection):
        async for message in connection:
            received.append(int(message[len(filling) :]))

    options = {"compression": None, "client": {"write_limit": 1000, "compression": None}}
    async with joined(handler, **options) as (client, server):
        for i in range(count):
            await cancel_after(client.send(f"{filling}{i}"), choice.randrange(1, 4))
        await client.close()
        await server.wait_closed()
        # send queues in its first step, so whoever was stepped once has sent.
        assert received == list(range(count))
