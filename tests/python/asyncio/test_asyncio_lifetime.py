"""Loops that end early, processes that fork in the middle, and what was waiting then."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from pathlib import Path

import pytest
import support
from libws.asyncio import _loop
from libws.asyncio.client import connect
from libws.asyncio.server import serve
from libws.exceptions import ConnectionClosed

TESTS = Path(__file__).parents[1]


def run_until_complete(loop, coroutine):
    return loop.run_until_complete(asyncio.wait_for(coroutine, support.DEADLINE_S))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_loop_dropped_with_an_open_server_is_collectable():
    gc.collect()
    before = support.open_descriptors()
    loop = support.new_loop()
    known = [weakref.ref(loop)]

    async def main():
        await serve(support.echo, "127.0.0.1", 0)
        known.append(weakref.ref(_loop.current()))

    run_until_complete(loop, main())
    loop.close()
    del loop
    gc.collect()
    assert [each() for each in known] == [None, None]
    assert support.open_descriptors() <= before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_loop_dropped_with_open_connections_is_collectable():
    gc.collect()
    before = support.open_descriptors()
    loop = support.new_loop()
    known = [weakref.ref(loop)]

    async def main():
        server = await serve(support.until_closed, "127.0.0.1", 0)
        client = await connect(support.url_of(server))
        await client.send("x")
        known.append(weakref.ref(client))
        known.append(weakref.ref(_loop.current()))

    # A task that is destroyed while it waits is told of.
    loop.set_exception_handler(lambda _loop, _context: None)
    run_until_complete(loop, main())
    loop.close()
    del loop
    gc.collect()
    assert [each() for each in known] == [None, None, None]
    assert support.open_descriptors() <= before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_receiver_is_told_when_its_loop_is_shut_down():
    loop = support.new_loop()

    async def begin():
        server = await serve(support.echo, "127.0.0.1", 0)
        client = await connect(support.url_of(server))
        receiving = loop.create_task(client.recv())
        await client.ping()
        return server, client, receiving

    server, client, receiving = run_until_complete(loop, begin())
    loop.run_until_complete(loop.shutdown_asyncgens())

    async def end():
        with pytest.raises(ConnectionClosed):
            await receiving
        await client.wait_closed()
        await server.wait_closed()

    run_until_complete(loop, end())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


FORKING = """
    import asyncio, gc, os, sys
    import support
    from libws.asyncio.client import connect

    async def handler(connection):
        async for message in connection:
            if message == "fork":
                child = os.fork()
                if child == 0:
                    sys.exit(7)
                _, status = os.waitpid(child, 0)
                message = str(os.waitstatus_to_exitcode(status))
            await connection.send(message)

    async def main():
        async with support.serving(handler) as (_, url):
            clients = [await connect(url) for _ in range(5)]
            for client in clients:
                await client.send("a")
                await client.recv()
            # All in one turn of the server, the fork in the middle of it.
            for client in clients:
                await client.send("fork" if client is clients[2] else "b")
            print([await client.recv() for client in clients])
            for client in clients:
                await client.close()

    parent = os.getpid()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    except SystemExit as left:
        # The child must not touch what the event loop shares with the parent.
        gc.collect()
        os._exit(left.code)
    finally:
        assert os.getpid() == parent
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_forked_in_a_handler_leaves_by_sys_exit():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(FORKING)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "['b', 'b', '7', 'b', 'b']\n"


async def test_fragments_that_wait_end_with_the_connection():
    async with support.joined() as (client, server):
        never = asyncio.get_running_loop().create_future()

        async def endless():
            yield "a"
            await never

        first = asyncio.create_task(client.send(endless()))
        await support.eventually(lambda: client.fragmenting)
        second = asyncio.create_task(client.send(["b"]))
        await asyncio.sleep(0)
        client.abort()
        with pytest.raises(ConnectionClosed):
            await second
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_send_cancelled_after_the_last_fragment_leaves_the_connection_open():
    async def handler(connection):
        await go_on.wait()
        async for message in connection:
            await connection.send(str(len(message)))

    go_on = asyncio.Event()
    size = 8 << 20
    options = {"max_size": None, "max_queue": 1, "compression": None}
    async with support.joined(handler, client={"write_limit": 1024}, **options) as (client, _):
        sending = asyncio.create_task(client.send([bytes(size)]))
        await support.eventually(lambda: client.buffered > 1024)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        go_on.set()
        assert await client.recv() == str(size)


def test_threads_with_loops_of_their_own_while_others_collect():
    failures = []
    stop = threading.Event()

    def collect():
        while not stop.is_set():
            gc.collect(0)
            gc.collect()

    async def talk():
        async with support.joined() as (client, _):
            for i in range(50):
                await client.send(str(i))
                assert await client.recv() == str(i)

    def work():
        try:
            for _ in range(3):
                support.run(talk())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    collector = threading.Thread(target=collect)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for thread in [*threads, collector]:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        collector.join()
    assert not failures
