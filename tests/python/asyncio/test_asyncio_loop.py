"""Many event loops, one after the other and side by side; nothing stays behind."""

import asyncio
import gc
import logging
import os
import socket
import threading
import warnings
import weakref

import pytest
import support
from libws.asyncio import _loop
from libws.asyncio.client import connect
from libws.asyncio.server import serve
from support import serving


async def talk():
    async with support.joined() as (client, _):
        await client.send("x")
        assert await client.recv() == "x"


async def forget():
    server = await serve(support.echo, "127.0.0.1", 0)
    client = await connect(support.url_of(server))
    await client.send("x")
    assert await client.recv() == "x"


def test_loops_one_after_the_other_leave_no_descriptor():
    support.run(talk())
    before = support.open_descriptors()
    gc.disable()
    try:
        for _ in range(20):
            support.run(talk(), debug=False)
        assert support.open_descriptors() == before
    finally:
        gc.enable()


def test_server_not_closed_is_warned_of_and_leaves_no_descriptor():
    support.run(talk())
    before = support.open_descriptors()
    gc.disable()
    try:
        for _ in range(5):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                support.run(forget(), debug=False)
            texts = [str(each.message) for each in told if each.category is ResourceWarning]
            assert any("Server" in text and "not closed" in text for text in texts)
        assert support.open_descriptors() == before
    finally:
        gc.enable()


def silent_peer(listening):
    """Upgrade one connection, and read until its end."""
    sock, _ = listening.accept()
    with sock:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + support.accept_of(key).encode() + b"\r\n\r\n"
        )
        while sock.recv(4096):
            pass


def test_connection_not_closed_is_warned_of_and_leaves_no_descriptor():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=silent_peer, args=[listening])
        thread.start()
        before = support.open_descriptors()

        async def main():
            await connect(f"ws://127.0.0.1:{listening.getsockname()[1]}/")

        with pytest.warns(ResourceWarning, match="1 connections were not closed"):
            support.run(main())
        thread.join()
        assert support.open_descriptors() <= before


def test_loop_is_collectable_after_its_end():
    known = []

    async def main():
        await talk()
        known.append(weakref.ref(asyncio.get_running_loop()))
        known.append(weakref.ref(_loop.current()))

    support.run(main())
    gc.collect()
    assert [each() for each in known] == [None, None]


def test_loop_dropped_without_shutdown_is_collectable():
    loop = support.new_loop()
    loop.run_until_complete(asyncio.wait_for(talk(), support.DEADLINE_S))
    loop.close()
    known = weakref.ref(loop)
    before = support.open_descriptors()
    del loop
    gc.collect()
    assert known() is None
    assert support.open_descriptors() <= before


async def test_current_is_the_same_for_one_event_loop():
    assert _loop.current() is _loop.current()


def test_current_without_an_event_loop_is_refused():
    with pytest.raises(RuntimeError):
        _loop.current()


def test_event_loops_of_several_threads_do_not_meet():
    failures = []

    def work():
        try:
            support.run(talk())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


async def test_connection_and_handler_are_collectable_after_the_end():
    known = []

    async def handler(connection):
        known.append(weakref.ref(connection))
        async for _message in connection:
            pass

    async with serving(handler) as (_, url):
        async with connect(url) as client:
            known.append(weakref.ref(client))
            await client.ping()
        del client
        await asyncio.sleep(0.01)
        gc.collect()
        assert [each() for each in known] == [None, None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_child_of_a_fork_leaves_the_connections_of_its_parent_alone():
    async with support.joined() as (client, _):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                closed = client.state == 3
                status = 0 if closed else 2
            finally:
                os._exit(status)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await client.send("parent")
        assert await client.recv() == "parent"


def test_child_of_a_fork_can_use_a_loop_of_its_own():
    async def main():
        async with support.joined():
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    thread = threading.Thread(target=lambda: support.run(talk()))
                    thread.start()
                    thread.join()
                    status = 0
                finally:
                    os._exit(status)
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status) == 0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        support.run(main())


def test_lines_of_the_library_go_to_logging(caplog):
    async def main():
        async with serving() as (_, url):
            client = await support.RawClient.open(url)
            client.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            await client.reader.read(-1)
            await client.close()

    with caplog.at_level(logging.DEBUG, logger="libws"):
        support.run(main())
    refused = [each for each in caplog.records if each.getMessage().startswith("refuse")]
    assert [each.name for each in refused] == ["libws.server"]
    assert refused[0].levelno == logging.WARNING
