#!/usr/bin/env python3
"""Several server processes that share topics through a real Redis, and clients of all of them.

    test_nodes.py NODE          the program of node.c

Redis runs on loopback, in a directory of its own, and keeps nothing.  Prints a line in CMocka's
manner for each test; the exit status is 77 where there is no redis-server.  Standard library only.
"""
import asyncio
import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

NODE = sys.argv[1]
DEADLINE = 10                                        # seconds; what waits longer never comes
CLIENTS, NODES = 300, 3


async def eventually(what, condition):
    """Until the condition, which may be a coroutine function, holds."""
    async def poll():
        while True:
            held = condition()
            if asyncio.iscoroutine(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)
    try:
        await asyncio.wait_for(poll(), DEADLINE)
    except asyncio.TimeoutError:
        raise AssertionError(f"never: {what}") from None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Redis:
    def __init__(self, directory, *options, port=None):
        self.port = port or free_port()
        self.directory = directory
        self.options = options or ("--port", str(self.port), "--bind", "127.0.0.1")
        self.process = None

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            REDIS, *self.options, "--dir", self.directory, "--save", "", "--appendonly", "no",
            "--daemonize", "no", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        lines = []
        while True:
            line = await asyncio.wait_for(self.process.stdout.readline(), DEADLINE)
            lines.append(line.decode(errors="replace"))
            if not line:
                raise AssertionError("redis-server ended: " + "".join(lines[-5:]))
            if b"eady to accept connections" in line:
                break
        self.drain = asyncio.create_task(self.process.stdout.read())
        return self

    async def kill(self):
        self.process.kill()
        await self.process.wait()
        await self.drain

    async def ask(self, *words):
        """Integers in the answer to a command, without a login."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write((" ".join(words) + "\r\n").encode())
        writer.write(b"ECHO the-end\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"the-end"), DEADLINE)
        writer.close()
        return [int(line[1:]) for line in answer.split(b"\r\n") if line[:1] == b":"]


class Node:
    def __init__(self, url, *options):
        self.argv = [NODE, url, *options]
        self.told = []                               # lines about the bridge

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = await asyncio.wait_for(self.process.stdout.readline(), DEADLINE)
        self.port = int(line.split()[1])
        self.reader = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for line in self.process.stdout:
            self.told.append(line.decode().rstrip("\n"))

    def count(self, word):
        return sum(line.startswith(word) for line in self.told)

    async def wait_for(self, word, count=1):
        await eventually(f"{count} x {word}, but {self.told}", lambda: self.count(word) >= count)
        return [line for line in self.told if line.startswith(word)][count - 1]

    async def stop(self):
        self.process.stdin.close()
        status = await asyncio.wait_for(self.process.wait(), DEADLINE)
        await self.reader
        assert status == 0, f"exit status of a node: {status}"


class Client:
    """RFC 6455, as far as short text goes."""

    def __init__(self, node):
        self.node = node
        self.got = []
        self.answers = asyncio.Queue()
        self.open = False

    async def start(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.node.port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write((f"GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: "
                           f"Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                           "\r\n").encode())
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE)
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.open = True
        self.task = asyncio.create_task(self.read())
        return self

    async def read(self):
        try:
            while True:
                first, length = await self.reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await self.reader.readexactly(2), "big")
                data = await self.reader.readexactly(length)
                if first == 0x89:
                    self.frame(0x8a, data)
                elif first != 0x81:
                    break
                elif data.startswith(b"m "):
                    self.got.append(data.decode())
                else:
                    self.answers.put_nowait(data.decode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.open = False

    def frame(self, first, data):
        head = bytes([first, 0x80 | len(data)]) if len(data) < 126 else \
            bytes([first, 0xfe]) + len(data).to_bytes(2, "big")
        self.writer.write(head + bytes(4) + data)    # a mask of zeros changes nothing

    def say(self, text):
        self.frame(0x81, text.encode())

    async def ask(self, text):
        self.say(text)
        return await asyncio.wait_for(self.answers.get(), DEADLINE)

    async def subscribe(self, *topics):
        for topic in topics:
            answer = await self.ask(f"sub {topic}")
            assert answer == "ok", answer

    async def stats(self):
        words = (await self.ask("stats")).split()[1:]
        return {name: int(value) for name, value in (word.split("=") for word in words)}

    def of(self, publisher):
        return [int(text.split()[2]) for text in self.got if text.split()[1] == publisher]

    def end(self):
        self.writer.transport.abort()
        self.task.cancel()


@contextlib.asynccontextmanager
async def world(*options, port=None, url="redis://127.0.0.1:{port}", nodes=NODES, arguments=()):
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ws-redis-"))
        values = {"port": port or free_port(), "dir": directory}
        fill = [text.format(**values) for text in (url, *options, *arguments)]
        redis = Redis(directory, *fill[1:1 + len(options)], port=values["port"])
        await redis.start()
        running, clients = [], []
        try:
            for _ in range(nodes):
                running.append(await Node(fill[0], *fill[1 + len(options):]).start())
            yield redis, running, clients
            for client in clients:
                client.end()
            for node in running:
                await node.stop()
            running = []
        finally:
            for node in running:
                node.process.kill()
                await node.process.wait()
            await redis.kill()


async def join(nodes, count, clients):
    for i in range(count):
        clients.append(await Client(nodes[i % len(nodes)]).start())
    return clients


async def subscribed(redis, nodes):
    """Redis has told the names of all nodes to be subscribed, patterns too."""
    async def all_of_them():
        names = await redis.ask("PUBSUB", "NUMSUB", "ws:room/all")
        return names == [nodes] and await redis.ask("PUBSUB", "NUMPAT") == [1]
    await eventually("every node is subscribed", all_of_them)


def publish(client, name, first, count):
    for i in range(first, first + count):
        client.say(f"pub room/all m {name} {i}")


async def expect(clients, name, numbers):
    """Everyone got these, once each, in order."""
    numbers = list(numbers)
    def all_there():
        return all(len(c.of(name)) >= len(numbers) for c in clients)
    with contextlib.suppress(AssertionError):
        await eventually("", all_there)
    for i, c in enumerate(clients):
        assert c.of(name) == numbers, f"client {i}, of {name}: {c.of(name)}, not {numbers}"


async def test_nodes_everyone_gets_what_is_published_anywhere_once():
    async with world() as (redis, nodes, clients):
        await join(nodes, CLIENTS, clients)
        # A third of each node's clients by name, one by pattern, one by both.
        for i, c in enumerate(clients):
            await c.subscribe(*[["room/all"], ["room/*"], ["room/*", "room/all"]][i // NODES % 3])
        for node in nodes:
            await node.wait_for("connected missed=0 dropped=0")
        await subscribed(redis, NODES)
        publishers = {f"p{i}": clients[i] for i in range(2 * NODES)}
        for start in range(0, 20, 5):
            for name, client in publishers.items():
                publish(client, name, start, 5)
        for name in publishers:
            await expect(clients, name, range(20))
        for i in range(NODES):
            stats = await clients[i].stats()
            sent = 20 * len(publishers)
            assert stats["published"] == sent // NODES, stats
            assert stats["received"] == sent - sent // NODES, stats
            assert stats["duplicates"] >= stats["received"], stats    # channel and pattern
            assert stats["dropped"] == stats["malformed"] == stats["queued"] == 0, stats
        assert all(c.open for c in clients)


async def test_nodes_redis_killed_and_restarted_the_gap_is_told():
    item = len("m out 100") + len("room/all") + 64
    async with world(arguments=(str(5 * item),)) as (redis, nodes, clients):
        await join(nodes, 30, clients)
        for i, c in enumerate(clients):
            await c.subscribe("room/all" if i // NODES % 2 else "room/*")
        await subscribed(redis, NODES)
        publish(clients[0], "before", 0, 3)
        await expect(clients, "before", range(3))

        await redis.kill()
        for node in nodes:
            await node.wait_for("lost")
        publish(clients[0], "out", 100, 20)
        near, far = clients[::NODES], [c for i, c in enumerate(clients) if i % NODES]
        await expect(near, "out", range(100, 120))   # the node's own need no Redis

        await redis.start()
        told = [await node.wait_for("connected", 2) for node in nodes]
        assert told[0] == "connected missed=1 dropped=15", told
        assert told[1] == told[2] == "connected missed=1 dropped=0", told
        await subscribed(redis, NODES)
        for i in range(NODES):
            publish(clients[i], f"a{i}", 0, 5)
        for i in range(NODES):
            await expect(clients, f"a{i}", range(5))
        # What waited went out; who was not there yet missed it, and was told that it might have.
        for c in far:
            out = c.of("out")
            assert out == [n for n in range(115, 120) if n in out], out
        assert all(c.open for c in clients)


async def test_nodes_redis_killed_while_all_publish_nothing_comes_twice():
    async with world() as (redis, nodes, clients):
        await join(nodes, 12, clients)
        for c in clients:
            await c.subscribe("room/all", "room/*")
        await subscribed(redis, NODES)
        for i in range(NODES):
            publish(clients[i], f"p{i}", 0, 500)
        await eventually("something came", lambda: all(c.got for c in clients))
        await redis.kill()
        for node in nodes:
            await node.wait_for("lost")
        await redis.start()
        for node in nodes:
            await node.wait_for("connected", 2)
        await subscribed(redis, NODES)
        for i in range(NODES):
            publish(clients[i], f"q{i}", 0, 5)
        for i in range(NODES):
            await expect(clients, f"q{i}", range(5))
        for c in clients:
            for i in range(NODES):
                got = c.of(f"p{i}")
                assert got == sorted(set(got)), f"twice, or out of order: {got}"
        assert all(c.open for c in clients)


async def two_nodes(*options, url, arguments=(), **more):
    async with world(*options, url=url, arguments=arguments, nodes=2, **more) as (_, nodes, clients):
        await join(nodes, 2, clients)
        for c in clients:
            await c.subscribe("t")
        for node in nodes:
            await node.wait_for("connected")
        # A subscription is told a little later: so the first one that comes back says so.
        async def heard(a, b):
            a.say("pub t m hello 0")
            return b.of("hello")
        await eventually("heard", lambda: heard(*clients))
        await eventually("heard", lambda: heard(*reversed(clients)))


async def test_nodes_password_and_database_over_a_unix_socket():
    await two_nodes("--port", "0", "--unixsocket", "{dir}/s", "--requirepass", "se:cr@t",
                    url="unix://:se%3Acr%40t@{dir}/s")


async def test_nodes_user_with_the_rights_that_docs_scaling_names():
    await two_nodes("--port", "{port}", "--bind", "127.0.0.1", "--user", "default", "off",
                    "--user", "ws", "on", ">pass", "resetchannels", "&ws:*",
                    *"+publish +subscribe +psubscribe +unsubscribe +punsubscribe +ping".split(),
                    "+select",
                    url="redis://ws:pass@localhost:{port}/3")


async def test_nodes_wrong_password_is_told():
    async with world("--port", "{port}", "--bind", "127.0.0.1", "--requirepass", "right", nodes=1,
                     url="redis://:wrong@127.0.0.1:{port}") as (_, nodes, _):
        told = await nodes[0].wait_for("failed", 2)
        assert "WRONGPASS" in told and "wrong@" not in told, told


TLS = ("--port", "0", "--tls-port", "{port}", "--bind", "127.0.0.1", "--tls-auth-clients", "no",
       "--tls-cert-file", "{dir}/../{pem}", "--tls-key-file", "{dir}/../{pem}", "--tls-ca-cert-file",
       "{dir}/../{pem}")


@contextlib.contextmanager
def certificate():
    """A file below the directory that all temporary ones are in, with key and certificate."""
    with tempfile.NamedTemporaryFile(prefix="ws-redis-", suffix=".pem") as file:
        key, cert = (subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", file.name, "-out", file.name + ".crt"],
            check=True, capture_output=True), Path(file.name + ".crt"))
        Path(file.name).write_text(Path(file.name).read_text() + cert.read_text())
        cert.unlink()
        yield file.name


def tls_options(pem):
    return [word.replace("{dir}/../{pem}", pem) for word in TLS]


async def test_nodes_tls():
    with certificate() as pem:
        await two_nodes(*tls_options(pem), url="rediss://127.0.0.1:{port}", arguments=("0", pem))


async def test_nodes_tls_certificate_not_trusted_is_told():
    with certificate() as pem:
        async with world(*tls_options(pem), nodes=1, url="rediss://127.0.0.1:{port}") as (_, nodes, _):
            told = await nodes[0].wait_for("failed")
            assert told.startswith("failed error=-42 "), told    # WS_ERR_TLS_VERIFY


def no_tls_redis():
    if shutil.which("openssl") is None:
        return "no openssl"
    # One that was built without does not know the option.
    told = subprocess.run([REDIS, "--tls-port", "0", "--port", "0", "--bogus"],
                          capture_output=True, text=True).stdout
    return "this redis-server has no TLS" if "tls-port" in told else None


def main():
    if REDIS is None:
        print("skipped: redis-server is not installed")
        return 77
    failed = 0
    without_tls = no_tls_redis()
    only = sys.argv[2:]
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        if "tls" in name and without_tls:
            print(f"[  SKIPPED ] {name}: {without_tls}")
            continue
        try:
            asyncio.run(test())
            print(f"[       OK ] {name}", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"[  FAILED  ] {name}", flush=True)
    return 1 if failed else 0


REDIS = shutil.which("redis-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
if __name__ == "__main__":
    sys.exit(main())
