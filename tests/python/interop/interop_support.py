"""libws servers and clients, of asyncio and of threads, behind one blocking interface; and a thread
for the servers of others, so that both ends of a test run at the same time."""

import asyncio
import contextlib
import json
import queue
import threading

from libws import ConnectionClosed
from libws.asyncio import client as asyncio_client
from libws.asyncio import server as asyncio_server
from libws.sync import client as sync_client
from libws.sync import server as sync_server

# Nothing here takes as long; it only ends what hangs.
DEADLINE_S = 10

MIB = 1 << 20
MESSAGES = ["", "caf\u00e9 \U0001f600", b"", b"\x00\xff" * 100, "a" * MIB, bytes(range(256)) * 4096]

LAYERS = ("asyncio", "sync")


class Turns:
    """An event loop of the test's own, which goes on only while a call waits."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()

    def run(self, awaitable):
        return self._loop.run_until_complete(asyncio.wait_for(awaitable, DEADLINE_S))

    def close(self):
        self.run(self._loop.shutdown_asyncgens())
        self._loop.close()


@contextlib.contextmanager
def in_thread(serving):
    """Run `async with serving() as value` on a loop in a thread of its own: the value."""
    ready = queue.Queue()

    async def main():
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with serving() as value:
                ready.put((value, loop, ended))
                await ended.wait()
        except Exception as error:
            ready.put(error)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    outcome = ready.get(timeout=DEADLINE_S)
    if isinstance(outcome, Exception):
        raise outcome
    value, loop, ended = outcome
    try:
        yield value
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert ready.empty(), ready.get()


# A server for others.


class Served:
    """Where our server is; the (code, reason) that it saw each connection end with; and what it was
    told at /outcome."""

    def __init__(self):
        self.address = None
        self.ends = queue.Queue()
        self.told = queue.Queue()

    def at(self, socket):
        self.address = "{}:{}".format(*socket.getsockname())
        return self

    def url(self, path="/"):
        return f"ws://{self.address}{path}"

    def end(self):
        return self.ends.get(timeout=DEADLINE_S)


def choose(_, offered):
    return "chat" if "chat" in offered else None


def farewell(path):
    """The code of a path like /close/4001, with which the server ends the connection at once."""
    return int(path.rpartition("/")[2]) if path.startswith("/close/") else None


@contextlib.contextmanager
def our_server(layer, **options):
    """An echo server: Served."""
    options = {"select_subprotocol": choose, **options}
    with (_threaded if layer == "sync" else _on_asyncio)(options) as served:
        yield served


@contextlib.contextmanager
def _threaded(options):
    served = Served()

    def serve_one(connection):
        path = connection.request.path
        if path == "/outcome":
            served.told.put(json.loads(connection.recv(DEADLINE_S)))
            return
        if farewell(path) is not None:
            connection.close(farewell(path), "reason")
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                connection.send(message)
        connection.wait_closed()
        served.ends.put((connection.close_code, connection.close_reason))

    with sync_server.serve(serve_one, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served.at(server.socket)
        finally:
            server.shutdown()
            thread.join(DEADLINE_S)


@contextlib.contextmanager
def _on_asyncio(options):
    served = Served()

    async def serve_one(connection):
        path = connection.request.path
        if path == "/outcome":
            served.told.put(json.loads(await connection.recv()))
            return
        if farewell(path) is not None:
            await connection.close(farewell(path), "reason")
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        await connection.wait_closed()
        served.ends.put((connection.close_code, connection.close_reason))

    @contextlib.asynccontextmanager
    async def serving():
        async with asyncio_server.serve(serve_one, "127.0.0.1", 0, **options) as server:
            yield served.at(server.sockets[0])

    with in_thread(serving):
        yield served


# A client for the servers of others.


class OfAsyncio:
    """libws.asyncio's client, one blocking call at a time."""

    def __init__(self, url, **options):
        self._turns = Turns()
        try:
            self._connection = self._turns.run(self._connect(url, options))
        except BaseException:
            self._turns.close()
            raise

    async def _connect(self, url, options):
        return await asyncio_client.connect(url, proxy=None, **options)

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def send(self, message):
        self._turns.run(self._connection.send(message))

    def recv(self):
        return self._turns.run(self._connection.recv())

    def close(self, *how):
        self._turns.run(self._connection.close(*how))

    def end(self):
        self.close()
        self._turns.close()


class OfThreads:
    """libws.sync's client, with a deadline for each call."""

    def __init__(self, url, **options):
        self._connection = sync_client.connect(url, proxy=None, **options)

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def recv(self):
        return self._connection.recv(DEADLINE_S)

    def end(self):
        self._connection.close()


@contextlib.contextmanager
def our_client(layer, url, **options):
    client = (OfThreads if layer == "sync" else OfAsyncio)(url, **options)
    try:
        yield client
    finally:
        client.end()


def agreed_on_deflate(headers):
    return "permessage-deflate" in headers.get("Sec-WebSocket-Extensions", "")


def same(got, wanted):
    """Whether a message came back; not for assert to explain, as it may be long."""
    return type(got) is type(wanted) and got == wanted
