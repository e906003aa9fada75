"""examples/glib_loop: a ws_loop inside GLib's main loop, through ws_loop_fd()."""
import asyncio
import contextlib
import os
import signal
import time

from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed

from harness import SIZES, Server, binary, check_idle, main, raw_peer, same, text

PROGRAM = os.environ["INTEROP_BUILD"] + "/examples/glib_loop"


def embedded():
    return Server(argv=[PROGRAM, "0"])


def connect(s):
    return ws_connect(s.url, proxy=None, max_size=None, ping_interval=None)


async def next_message(client):
    """The next one that is not a tick of the example's timer."""
    while (message := await client.recv()) == "tick":
        pass
    return message


async def test_messages_of_every_size_pass_through_the_foreign_loop():
    with embedded() as s:
        async with connect(s) as client:
            for size in SIZES[:-1]:                 # the example keeps the default limit, 1 MiB
                await client.send(binary(size))
                same(await next_message(client), binary(size))
                await client.send(text(size))
                same(await next_message(client), text(size))


async def test_messages_are_answered_at_once():
    with embedded() as s:
        async with connect(s) as client:
            start = time.monotonic()
            for i in range(500):
                await client.send(str(i))
                same(await next_message(client), str(i))
            took = time.monotonic() - start
            assert took < 2, f"500 round trips took {took:.1f} s"


async def test_timer_of_the_library_ticks_once_a_second_without_traffic():
    with embedded() as s:
        async with connect(s) as client:
            came = []
            for _ in range(4):
                same(await client.recv(), "tick")
                came.append(time.monotonic())
            for a, b in zip(came, came[1:]):
                assert 0.95 <= b - a <= 1.3, f"ticks {b - a:.3f} s apart"


def test_nothing_to_do_takes_no_cpu():
    with embedded() as s:
        check_idle(s, seconds=2.0)                  # two ticks and nobody to send them to
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(raw_peer(s))
            check_idle(s, seconds=2.0)
        check_idle(s, seconds=1.0)                  # they are gone: no descriptor stays ready


async def test_sigterm_closes_1001_and_exits_0():
    with embedded() as s:
        clients = [await connect(s) for _ in range(10)]
        s.signal(signal.SIGTERM)
        for client in clients:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await client.recv()
            same(client.close_code, 1001, "close code")
        same(await asyncio.to_thread(s.wait), 0, "exit status")


main(__name__)
