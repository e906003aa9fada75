"""Helpers of the Python tests: running coroutines, servers on the loopback, scripted peers.

LIBWS_TEST_LOOP=uvloop runs the asyncio tests on uvloop.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import sys

# Far above what anything takes; only a test that hangs meets it.
DEADLINE_S = 20

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def new_loop():
    if os.environ.get("LIBWS_TEST_LOOP") == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run(coroutine, *, debug=True):
    """asyncio.run on the loop that is tested, in debug mode, within the deadline.

    What went to the loop's exception handler fails the test.
    """
    faults = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        return await asyncio.wait_for(coroutine, DEADLINE_S)

    if sys.version_info >= (3, 11):
        with asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
            result = runner.run(main())
    else:
        asyncio.set_event_loop_policy(None)
        result = asyncio.run(main(), debug=debug)
    assert not faults, faults
    return result


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def until_closed(connection):
    await connection.wait_closed()


def url_of(server, path="/", scheme="ws"):
    host, port = server.sockets[0].getsockname()[:2]
    return f"{scheme}://{host}:{port}{path}"


@contextlib.asynccontextmanager
async def serving(handler=echo, **options):
    """A libws server on the loopback: (server, its URL)."""
    from libws.asyncio.server import serve

    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server, url_of(server, scheme="wss" if options.get("ssl") else "ws")


@contextlib.asynccontextmanager
async def joined(handler=echo, *, client=None, **options):
    """A libws client of a libws server: (the client's connection, the server's connection)."""
    from libws.asyncio.client import connect

    arrived = asyncio.get_running_loop().create_future()

    async def handle(connection):
        arrived.set_result(connection)
        await handler(connection)

    async with serving(handle, **options) as (_, url), connect(url, **(client or {})) as connection:
        yield connection, await arrived


@contextlib.asynccontextmanager
async def scripted_server(script):
    """A plain TCP server that runs script(reader, writer) for each peer: its URL."""
    failures = []
    tasks = set()

    async def serve_one(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as error:
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"ws://{host}:{port}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
    assert not failures, failures


async def read_head(reader):
    """The first line and the fields (names in lower case) of an HTTP head."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("iso-8859-1")
    first, *lines = head.split("\r\n")[:-2]
    fields = [line.split(": ", 1) for line in lines]
    return first, {name.lower(): value for name, value in fields}


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


async def upgrade(reader, writer, extra=""):
    """A scripted server's part of the handshake; the request's fields."""
    _, fields = await read_head(reader)
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_of(fields['sec-websocket-key'])}\r\n{extra}\r\n".encode()
    )
    return fields


class RawClient:
    """A scripted client: speaks HTTP and unmasked-by-zero frames on a plain socket."""

    @classmethod
    async def open(cls, url):
        host, port = url.split("/")[2].split(":")
        self = cls()
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        return self

    async def request(self, *fields, target="/", method="GET"):
        """Send a request; the status of the answer, its fields, and its body."""
        head = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
        self.writer.write("\r\n".join(head).encode("iso-8859-1"))
        first, answer = await read_head(self.reader)
        status = int(first.split()[1])
        body = b""
        if method != "HEAD" and status != 101:
            body = await self.reader.readexactly(int(answer.get("content-length", 0)))
        return status, answer, body

    async def upgrade(self, *fields, target="/"):
        return await self.request(
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *fields,
            target=target,
        )

    def send(self, *frames):
        self.writer.write(b"".join(frames))

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def frame(opcode, payload=b"", *, fin=True, masked=False):
    """A frame with a payload of less than 64 KiB; masked with zeros."""
    head = bytes([(0x80 if fin else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    else:
        head += bytes([mask_bit | 126]) + len(payload).to_bytes(2, "big")
    return head + (bytes(4) if masked else b"") + payload


async def read_frame(reader):
    """(opcode, payload) of the next frame, unmasked."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    payload = await reader.readexactly(length)
    return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


async def eventually(condition):
    """Give other tasks turns until the condition holds; the deadline of run() bounds it."""
    while not condition():
        await asyncio.sleep(0)


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))
