"""`ws serve` behind a real reverse proxy, nginx or HAProxy (INTEROP_PROXY), with the configurations
that docs/reverse-proxy.md quotes.  The client is the Python package `websockets`."""
import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import client
import peers
from certs import HOST, Authority
from harness import SIZES, Server, binary, main, same, scratch, text, until

PROXY = os.environ["INTEROP_PROXY"]
start_proxy = {"nginx": peers.nginx, "haproxy": peers.haproxy}[PROXY]
ORIGIN = "https://example.com"
PLAIN = {"proxy": None, "max_size": None, "ping_interval": None, "compression": None}


class Front:
    """A proxy in front of `upstream`, HOST:PORT, and how to reach it."""

    def __init__(self, upstream, **options):
        self.upstream, self.options = upstream, options

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(scratch())
            authority = Authority(directory)
            certificate = authority.issue("example.com", ("DNS:example.com", *HOST))
            self.ca, self.tls = authority.ca, authority.context()
            self.proxy = stack.enter_context(
                start_proxy(directory, self.upstream, certificate, **self.options))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def connect(self, scheme, path="/", name="example.com", **options):
        """As a browser does that knows the proxy by `name` and on the scheme's default port; by
        "localhost" it is told the real port."""
        plain, tls = self.proxy.ports
        port = tls if scheme == "wss" else plain
        where = f"localhost:{port}" if name == "localhost" else name
        if scheme == "wss":
            options["ssl"] = self.tls
        return ws_connect(f"{scheme}://{where}{path}", host="127.0.0.1", port=port,
                          **{**PLAIN, **options})

    def get(self, path, method="GET"):
        """Status and body of a plain request."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.proxy.ports[0]}{path}",
                                         method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, None, 5) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()


@contextlib.contextmanager
def behind(*options, front=None, listen=("127.0.0.1:0",)):
    """A server and the proxy in front of it."""
    with Server(*options, listen=listen) as s, Front(f"127.0.0.1:{s.port}", **(front or {})) as f:
        yield s, f


async def closing(peer, seconds=5):
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(seconds):
            while True:
                await peer.recv()
    return peer.close_code, peer.close_reason


async def status_of(connecting):
    """101, or with what it was refused."""
    try:
        async with connecting:
            return 101
    except InvalidStatus as e:
        return e.response.status_code


async def echoes(peer, message):
    await peer.send(message)
    same(await peer.recv(), message, "echo")


# ---- what passes

async def test_every_size_comes_back_plain_and_over_tls():
    with behind("--echo") as (s, front):
        for scheme in ("ws", "wss"):
            async with front.connect(scheme) as peer:
                for size in SIZES:
                    await echoes(peer, binary(size))
                    await echoes(peer, text(size))
        line = await s.closed(2)
        same((line["messages_in"], line["code"], line["clean"]), ("18", "1000", "yes"))


def test_the_librarys_own_client_passes():
    with behind("--echo") as (s, front):
        plain, tls = front.proxy.ports
        client.works(f"ws://localhost:{plain}/", messages=2 * len(SIZES))
        report = client.works(f"wss://localhost:{tls}/", "--cacert", front.ca,
                              messages=2 * len(SIZES))
        same(report["server_name"], "localhost", "name asked for")
        # As on the day before the name's address is changed to the proxy's.
        report = client.works("wss://example.com/", "--connect-to", f"127.0.0.1:{tls}", "--cacert",
                              front.ca, "-H", f"Origin: {ORIGIN}", "--max-size", 65536)
        same(report["server_name"], "example.com", "name asked for")
        same(s.wait_log("^ws: close ", 3)["code"], "1000")


def test_the_librarys_own_client_follows_the_proxy_from_http_to_https():
    change = {"nginx": {"    server_name example.com;":
                        "    server_name example.com;\n    if ($scheme = http)"
                        " { return 301 https://localhost:TLS_PORT$request_uri; }"},
              "haproxy": {"    default_backend websocket":
                          "    http-request redirect prefix https://localhost:TLS_PORT"
                          " unless { ssl_fc }\n    default_backend websocket"}}[PROXY]
    with behind("--echo", front={"changes": change}) as (s, front):
        url = f"ws://localhost:{front.proxy.ports[0]}/a?b"
        options = ("--cacert", front.ca, "--max-size", 65536)
        status = client.refused(url, client.HTTP_STATUS, [], *options)["http_status"]
        assert status in (301, 302), status
        assert client.works(url, *options, "--redirects", 1)["tls"], "TLS"
        assert s.wait_log("^ws: open ")["path"].startswith("/a"), s.log


async def test_messages_of_both_sides_overtake_nothing():
    with behind("--broadcast") as (_, front):
        async with front.connect("wss") as a, front.connect("ws") as b:
            async def sends(peer, name):
                for i in range(500):
                    await peer.send(f"{name}{i}")
                    if i % 100 == 0:
                        await peer.send(binary(200000))

            async def receives(peer, name):
                words = [m for m in [await peer.recv() for _ in range(505)] if isinstance(m, str)]
                same(words, [f"{name}{i}" for i in range(500)], "order")
            await asyncio.gather(sends(a, "a"), sends(b, "b"), receives(a, "b"), receives(b, "a"))


async def test_pings_pass_in_both_directions():
    with behind("--echo", "--idle", "0.6") as (s, front):
        async with front.connect("wss") as peer:
            for payload in (b"", b"\xff\x00" + b"p" * 123):
                await asyncio.wait_for(await peer.ping(payload), 3)
            await asyncio.sleep(1.5)                # it stays open because our pings are answered
            await echoes(peer, "alive")
        same((await s.closed())["code"], "1000")


async def test_path_query_and_many_connections_reach_the_server():
    with behind("--echo") as (s, front):
        async with front.connect("wss", "/a%20b/c%2fd?e=%26&f") as peer:
            await echoes(peer, "x")
        assert (await s.closed())["path"].startswith("/a%20b/c%2fd"), s.log
        async with contextlib.AsyncExitStack() as stack:
            clients = await asyncio.gather(*(
                stack.enter_async_context(front.connect("ws")) for _ in range(200)))
            await asyncio.gather(*(echoes(c, f"number {i}") for i, c in enumerate(clients)))


# ---- what the server is told

class Recorder:
    """An upstream that keeps the heads of the requests it gets and answers each with 404."""

    def __enter__(self):
        self.heads = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                self._answer(self.socket.accept()[0])

    def _answer(self, peer):
        with peer, contextlib.suppress(OSError):
            peer.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = peer.recv(4096)
                if not piece:
                    return
                head += piece
            lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
            if not lines[0].startswith("GET /healthz "):         # HAProxy's own
                fields = [line.split(": ", 1) for line in lines[1:]]
                self.heads.append((lines[0], {name.lower(): value for name, value in fields}))
            code = b"200 OK" if lines[0].startswith("GET /healthz ") else b"404 Not Found"
            peer.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % code)


async def test_upstream_gets_the_upgrade_the_host_and_what_the_proxy_adds():
    with Recorder() as upstream, Front(f"127.0.0.1:{upstream.port}") as front:
        forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "forged"}
        for scheme, proto, name in (("ws", "http", "example.com"), ("wss", "https", "localhost")):
            connecting = front.connect(scheme, name=name, additional_headers=forged,
                                       subprotocols=["chat"])
            same(await status_of(connecting), 404)
            line, fields = upstream.heads.pop()
            same(line, "GET / HTTP/1.1")
            port = front.proxy.ports[scheme == "wss"]
            host = f"localhost:{port}" if name == "localhost" else name
            wanted = {"host": host, "upgrade": "websocket", "connection": "upgrade",
                      "sec-websocket-version": "13", "sec-websocket-protocol": "chat",
                      "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": proto}
            got = {n: fields.get(n) for n in wanted}
            got["connection"] = got["connection"].lower()
            same(got, wanted, "fields")


# req: 43, 107
# bad: 281
async def test_page_of_the_proxys_own_origin_is_let_in_and_others_get_403():
    with behind("--echo") as (_, front):
        same(await status_of(front.connect("wss", origin=ORIGIN)), 101, "https page, TLS proxy")
        same(await status_of(front.connect("ws", origin="http://example.com")), 101, "http page")
        port = front.proxy.ports[1]
        own = f"https://localhost:{port}"
        same(await status_of(front.connect("wss", name="localhost", origin=own)), 101, "with port")
        for origin in ("https://evil.example", "https://example.com:444", "null",
                       "https://example.com.evil.example", f"http://127.0.0.1:{port}"):
            same(await status_of(front.connect("wss", origin=origin)), 403, origin)


async def test_proxy_that_sets_its_own_host_needs_the_origin_option():
    change = {"nginx": {"   $http_host;": "   $proxy_host;"},
              "haproxy": {"    default_backend websocket":
                          "    http-request set-header Host websocket\n"
                          "    default_backend websocket"}}[PROXY]
    with behind("--echo", front={"changes": change}) as (_, front):
        same(await status_of(front.connect("wss", origin=ORIGIN)), 403, "page")
        same(await status_of(front.connect("wss")), 101, "no page")
    with behind("--echo", "--origin", ORIGIN, front={"changes": change}) as (_, front):
        same(await status_of(front.connect("wss", origin=ORIGIN)), 101, "page, with --origin")
        same(await status_of(front.connect("wss", origin="https://evil.example")), 403, "other")


if PROXY == "nginx":
    async def test_each_line_that_an_upgrade_needs_is_needed():
        for line, status in (("proxy_http_version 1.1;", 400),
                             ("proxy_set_header   Upgrade           $http_upgrade;", 426),
                             ("proxy_set_header   Connection        $connection_upgrade;", 400)):
            with behind("--echo", front={"changes": {line: ""}}) as (_, front):
                same(await status_of(front.connect("wss")), status, f"without {line}")
else:
    async def test_without_a_limit_for_tunnels_the_limit_for_requests_strikes():
        changes = {"    timeout tunnel 60s\n": "", "timeout client       30s": "timeout client 1s",
                   "timeout server       30s": "timeout server 1s"}
        with behind("--echo", "--idle", "0", front={"changes": changes}) as (_, front):
            async with front.connect("wss") as peer:
                same((await closing(peer))[0], 1006, "close code")


async def test_server_with_tls_of_its_own_is_verified_by_the_proxy():
    with scratch() as directory:
        authority = Authority(directory, "upstream")
        for name, status in (("localhost", 101), ("other.example", {"nginx": 502}.get(PROXY, 503))):
            cert, key = authority.issue(name, (f"DNS:{name}",))
            change = {"nginx": {"http://websocket;":
                                "https://websocket; proxy_ssl_verify on; proxy_ssl_name localhost;"
                                f" proxy_ssl_trusted_certificate {authority.ca};"},
                      "haproxy": {"check inter 200ms": "check inter 200ms ssl verify required"
                                  f" verifyhost localhost ca-file {authority.ca}"}}[PROXY]
            with behind("--echo", "--tls-cert", cert, "--tls-key", key,
                        front={"changes": change}) as (_, front):
                await eventually(front, status)
                if status == 101:
                    async with front.connect("wss") as peer:
                        await echoes(peer, binary(1 << 20))


def test_plain_requests_and_refusals_pass():
    with behind("--chat") as (_, front):
        same(front.get("/healthz"), (200, b"ok\n"))
        status, page = front.get("/")
        same((status, b"<html" in page), (200, True), "the chat page")
        same(front.get("/none")[0], 404)
        same(front.get("/", "DELETE")[0], 405)
    with behind("--echo") as (_, front):
        same(front.get("/")[0], 426)


# ---- time

async def test_our_pings_keep_the_idle_limit_of_the_proxy_away():
    with behind("--echo", "--idle", "1", front={"read_timeout": "2s"}) as (s, front):
        async with front.connect("wss") as peer:
            await asyncio.sleep(4.5)
            await echoes(peer, "still here")
        same((await s.closed())["code"], "1000")


async def test_without_pings_the_proxy_ends_a_silent_connection():
    with behind("--echo", "--idle", "0", front={"read_timeout": "1s"}) as (s, front):
        async with front.connect("wss") as peer:
            start = time.monotonic()
            same((await closing(peer))[0], 1006, "close code")
            took = time.monotonic() - start
            assert took > 0.5, f"after {took:.1f} s"
        same((await s.closed())["code"], "1006")


async def test_connection_that_carries_only_the_clients_messages_stays():
    # Nobody else is there to broadcast to, and the server pings only who is silent.
    with behind("--broadcast", front={"read_timeout": "1s"}) as (s, front):
        async with front.connect("wss") as peer:
            for _ in range(25):
                await peer.send("x")
                await asyncio.sleep(0.1)
            same(peer.close_code, None, "close code after 2.5 s")
        line = await s.closed()
        same((line["code"], line["messages_in"]), ("1000", "25"))


# ---- ends

# req: 87
async def test_close_codes_pass_both_ways():
    with behind("--echo", "--max-message", "1000") as (s, front):
        ends = {1000: "", 1001: "x" * 123, 4999: "\u20ac"}
        for count, (code, reason) in enumerate(ends.items(), 1):
            async with front.connect("wss") as peer:
                await peer.close(code, reason)
                same(peer.protocol.close_rcvd.code, code, "echoed code")
            line = await s.closed(count)
            same((line["code"], line["by"], line["clean"]), (str(code), "peer", "yes"))
        async with front.connect("wss") as peer:
            await peer.send(binary(1001))
            same((await closing(peer))[0], 1009, "close code")


async def test_client_that_vanishes_is_noticed_through_the_proxy():
    with behind("--echo") as (s, front):
        before = s.descriptors()
        for count, scheme in enumerate(("ws", "wss"), 1):
            peer = await front.connect(scheme)
            await echoes(peer, "x")
            peer.transport.abort()
            line = await s.closed(count)
            same((line["code"], line["clean"]), ("1006", "no"))
        until(lambda: s.descriptors() <= before, failure="descriptors stay open")


async def test_stopping_server_says_1001_through_the_proxy():
    with behind("--echo") as (s, front):
        async with front.connect("ws") as a, front.connect("wss") as b:
            s.signal(signal.SIGTERM)
            same([(await closing(c))[0] for c in (a, b)], [1001, 1001], "close codes")
        same(await asyncio.to_thread(s.wait), 0, "exit status")


async def test_killed_server_is_1006_then_a_502_or_503_until_it_is_back():
    port = peers.free_port()
    listen = (f"127.0.0.1:{port}",)
    with Front(f"127.0.0.1:{port}") as front:
        with Server("--echo", listen=listen) as s:
            await eventually(front, 101)
            async with front.connect("wss") as peer:
                await echoes(peer, "x")
                s.signal(signal.SIGKILL)
                same((await closing(peer))[0], 1006, "close code")
        refused = await status_of(front.connect("wss"))
        assert refused in (502, 503), refused
        await eventually(front, {"nginx": 502, "haproxy": 503}[PROXY])
        with Server("--echo", listen=listen):
            await eventually(front, 101)


async def eventually(front, status):
    """HAProxy asks /healthz now and then whether the server is there."""
    end = time.monotonic() + 5
    while (got := await status_of(front.connect("wss"))) != status:
        assert time.monotonic() < end, f"status {got}, not {status}"
        await asyncio.sleep(0.05)


def test_documentation_quotes_this_configuration():
    name = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[PROXY]
    quoted = f"```{PROXY}\n{(peers.HERE / 'proxy' / name).read_text()}```\n"
    page = (peers.HERE.parent.parent / "docs/reverse-proxy.md").read_text()
    assert quoted in page, f"docs/reverse-proxy.md does not have proxy/{name} word for word"


main(__name__)
