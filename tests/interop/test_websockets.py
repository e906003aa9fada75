"""The Python package `websockets` as the peer of `ws serve`."""
import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import time
import urllib.request

from websockets.asyncio.client import connect as ws_connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as sync_connect

from harness import (SIZES, WS, Server, binary, check_idle, main, raw_peer, same, scratch, text,
                     until)

# Proxies of the environment are not meant for loopback.  No limit on what comes back.
PLAIN = {"proxy": None, "max_size": None, "ping_interval": None}


def connect(url, **options):
    return ws_connect(url, **{**PLAIN, **options})


async def closing(client, seconds=5):
    """Read until the connection ends: (code, reason) as the client saw them."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(seconds):
            while True:
                await client.recv()
    return client.close_code, client.close_reason


async def echoes(client, message):
    await client.send(message)
    same(await client.recv(), message, "echo")


async def refused(url, **options):
    try:
        async with connect(url, **options):
            return None
    except InvalidStatus as e:
        return e.response


# ---- messages

# req: 48, 61, 68, 71, 115
# bad: 89
async def test_every_size_comes_back_as_text_and_binary():
    with Server("--echo") as s:
        for compression in (None, "deflate"):
            async with connect(s.url, compression=compression) as client:
                for size in SIZES:
                    await echoes(client, binary(size))
                    await echoes(client, text(size))
        line = await s.closed(2)
        same((line["messages_in"], line["messages_out"]), ("18", "18"), "messages")


async def test_many_small_messages_keep_their_order():
    with Server("--echo") as s:
        async with connect(s.url) as client:
            async def feed():
                for i in range(20000):
                    await client.send(str(i))
            feeding = asyncio.create_task(feed())
            for i in range(20000):
                same(await client.recv(), str(i))
            await feeding


# req: 62, 63, 83, 101, 102
# bad: 102, 108, 111
async def test_ping_between_fragments_is_answered_before_the_message_ends():
    with Server("--echo") as s:
        async with connect(s.url) as client:
            async def pieces(parts):
                for part in parts:
                    yield part
                    pong = await client.ping(b"\xff\x00" + os.urandom(123))
                    await asyncio.wait_for(pong, 2)
            word = text(1000).encode()
            parts = [word[:1], word[1:2], b"", word[2:501], word[501:]]
            await client.send(pieces(parts), text=True)
            same(await client.recv(), word.decode())
            await client.send(pieces([binary(65536), b"", binary(1)]))
            same(await client.recv(), binary(65536) + binary(1))


# req: 62, 67, 101
async def test_text_in_one_byte_fragments_comes_back_whole():
    with Server("--echo") as s:
        async with connect(s.url) as client:
            word = text(5000).encode()
            await client.send((word[i:i + 1] for i in range(len(word))), text=True)
            same(await client.recv(), word.decode())


def test_blocking_client_echoes():
    with Server("--echo") as s, sync_connect(s.url, proxy=None, max_size=None) as client:
        for size in (0, 125, 65536, 1 << 20):
            client.send(binary(size))
            same(client.recv(5), binary(size))
        client.send([text(9), text(4)])
        same(client.recv(5), text(9) + text(4))


# ---- limits and broken rules

# req: 91, 97, 104
# bad: 88, 96
async def test_message_above_the_limit_is_closed_1009():
    with Server("--echo", "--max-message", "1000") as s:
        async with connect(s.url) as client:
            await echoes(client, binary(1000))
            await client.send([binary(999), binary(1)])
            same(await client.recv(), binary(999) + binary(1))
            await client.send(binary(1001))
            same((await closing(client))[0], 1009, "close code")
        line = await s.closed()
        same((line["sent"], line["by"], line["messages_in"]), ("1009", "us", "2"))
        async with connect(s.url) as client:
            with contextlib.suppress(ConnectionClosed):
                await client.send([binary(600), binary(401)])
            same((await closing(client))[0], 1009, "close code for the sum of fragments")


# req: 104
async def test_default_limit_is_16_mib():
    with Server("--echo") as s:
        for size in ((16 << 20) + 1, 48 << 20):
            client = await ws_connect(s.url, **PLAIN)
            # The server stops reading the message, not the connection, so that the Close arrives
            # even so.  Meanwhile sending fails, in ways that depend on the moment.
            with contextlib.suppress(Exception):
                await client.send(binary(size))
            await asyncio.wait_for(client.wait_closed(), 5)
            same(client.close_code, 1009, "close code")


# req: 91, 97, 99, 112
# bad: 106
async def test_text_that_is_not_utf8_is_closed_1007():
    with Server("--echo") as s:
        for bad in (b"\xc3\x28", b"ok \xf4\x90\x80\x80", b"\xed\xa0\x80", b"\xe2\x82"):
            async with connect(s.url) as client:
                await client.send(bad, text=True)
                same((await closing(client))[0], 1007, f"close code for {bad}")
        same((await s.closed())["sent"], "1007")


# req: 97
async def test_binary_message_in_the_chat_is_closed_1003():
    with Server("--chat") as s:
        async with connect(s.url) as client:
            await client.send(b"\x00")
            same((await closing(client))[0], 1003, "close code")


# ---- closing

# req: 78, 80, 87, 88, 89, 96
# bad: 118, 119, 137
async def test_close_of_the_client_is_echoed_and_logged():
    reasons = {1000: "", 1001: "going", 1011: "x" * 123, 1014: "\u20ac" * 41, 3000: "bye",
               3999: 'quote " and \\ and = in it', 4000: "t\u00e9", 4999: "line\nbreak"}
    with Server("--echo") as s:
        for count, (code, reason) in enumerate(reasons.items(), 1):
            async with connect(s.url) as client:
                await echoes(client, "hello")
                start = time.monotonic()
                await client.close(code, reason)
                took = time.monotonic() - start
                assert took < 0.5, f"closing took {took:.2f} s"
                same(client.protocol.close_rcvd.code, code, "echoed code")
            line = await s.closed(count)
            same((line["code"], line["sent"], line["clean"], line["by"]),
                 (str(code), str(code), "yes", "peer"))
            assert "error" not in line, line
            if reason.isascii() and reason.isalnum():
                same(line["reason"], reason)
        assert not any(ord(c) < 32 or ord(c) > 126 for line in s.log for c in line), s.log


# req: 88, 92, 112
# bad: 128
async def test_dropped_connections_are_logged_1006_and_leave_nothing():
    with Server("--echo") as s:
        before = s.descriptors()
        for i in range(20):
            client = await ws_connect(s.url, **PLAIN)
            if i % 2:
                await client.send(binary(1 << 20))       # echo on its way
            sock = client.transport.get_extra_info("socket")
            if i % 4 >= 2:
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # RST, not FIN
            client.transport.abort()
            line = await s.closed(i + 1)
            same((line["code"], line["clean"]), ("1006", "no"))
            assert line.get("detail"), line
        until(lambda: s.descriptors() == before, failure="descriptors stay open")
        async with connect(s.url) as client:
            await echoes(client, "still here")


# bad: 128
async def test_half_closed_connection_ends():
    with Server("--echo") as s:
        client = await ws_connect(s.url, **PLAIN)
        await echoes(client, "x")
        client.transport.write_eof()
        line = await s.closed()
        same((line["code"], line["clean"]), ("1006", "no"))
        await asyncio.wait_for(client.wait_closed(), 2)


# ---- stopping

# req: 87, 96
async def test_sigterm_closes_everyone_1001_and_exits_0():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server("--echo") as s:
            clients = await asyncio.gather(*(ws_connect(s.url, **PLAIN) for _ in range(50)))
            start = time.monotonic()
            s.signal(number)
            for seen in await asyncio.gather(*map(closing, clients)):
                same(seen[0], 1001, "close code")
            same(await asyncio.to_thread(s.wait), 0, "exit status")
            took = time.monotonic() - start
            assert took < 2, f"stopping took {took:.1f} s"
            same(len(s.logged("^ws: close .* sent=1001 clean=yes by=us")), 50, "clean closes")


async def test_what_is_queued_arrives_before_the_close_of_a_stopping_server():
    with Server("--echo") as s:
        client = await ws_connect(s.url, **PLAIN, max_queue=1)
        client.transport.pause_reading()

        async def feed():
            payload = binary(65536)
            while True:
                await client.send(payload)
                await asyncio.sleep(0)               # a stopping server takes it all at once
        feeding = asyncio.create_task(feed())
        await asyncio.sleep(0.3)                     # until all queues on the way are full
        s.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        feeding.cancel()
        client.transport.resume_reading()
        got = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                same(len(await client.recv()), 65536)
                got += 1
        same(client.close_code, 1001, "close code")
        assert got > 0, "nothing was queued"
        line = await s.closed()
        same(line["messages_out"], str(got), "messages that arrived")
        # The server did not read while its queue was full; it must again, to see the answer.
        same((line["code"], line["clean"]), ("1001", "yes"))


# bad: 125
def test_sigterm_waits_5_seconds_for_a_peer_that_never_answers():
    with Server("--echo") as s, raw_peer(s):
        start = time.monotonic()
        s.signal(signal.SIGTERM)
        same(s.wait(), 0, "exit status")
        took = time.monotonic() - start
        assert 4 <= took <= 6, f"stopping took {took:.1f} s"


def test_second_signal_stops_at_once():
    with Server("--echo") as s, raw_peer(s):
        s.signal(signal.SIGTERM)
        time.sleep(0.3)
        start = time.monotonic()
        s.signal(signal.SIGTERM)
        same(s.wait(), 0, "exit status")
        took = time.monotonic() - start
        assert took < 1, f"stopping took {took:.1f} s"


def run_ws(*words):
    return subprocess.run([WS, "serve", *words], capture_output=True, text=True, timeout=10)


def test_second_server_on_a_busy_port_says_so_and_exits_1():
    with Server("--echo") as s:
        r = run_ws("--listen", f"127.0.0.1:{s.port}")
        same((r.returncode, r.stdout), (1, ""), "status and output")
        same(len(r.stderr.splitlines()), 1, "lines")
        for word in (f"127.0.0.1:{s.port}", "in use"):
            assert word in r.stderr, r.stderr


def test_nothing_listens_if_one_of_two_addresses_is_busy():
    with Server("--echo") as s:
        r = run_ws("--listen", "127.0.0.1:0", "--listen", f"127.0.0.1:{s.port}")
        same((r.returncode, r.stdout), (1, ""), "status and output")


# ---- the handshake

# req: 46, 47
async def test_subprotocol_and_extension_offers_get_none():
    with Server("--echo") as s:
        async with connect(s.url, subprotocols=["chat.v2", "chat"]) as client:
            same(client.subprotocol, None)
            assert "Sec-WebSocket-Protocol" not in client.response.headers
            await echoes(client, "x")


# req: 43, 51, 107
# bad: 277
async def test_foreign_origin_is_refused_403():
    with Server("--echo") as s:
        own = s.http
        for origin in ("https://evil.example", "null", own + ".evil.example", own + "0",
                       "http://127.0.0.1", own.replace("127.0.0.1", "localhost")):
            response = await refused(s.url, origin=origin)
            same(response and response.status_code, 403, f"status for {origin}")
            same(response.headers["Connection"], "close")
            assert 0 < len(response.body) < 200, response.body
        same(await refused(s.url, origin=own), None, "own origin")
        # A proxy in front may have taken the TLS off.
        same(await refused(s.url, origin=own.replace("http:", "https:")), None, "own origin, TLS")


# req: 44, 107
# bad: 277, 279
async def test_origin_option_replaces_the_same_host_rule():
    allowed = ("--origin", "https://good.example", "--origin", "http://b.example:81")
    with Server("--echo", *allowed) as s:
        for origin in ("https://good.example", "http://b.example:81", None):
            same(await refused(s.url, origin=origin), None, origin)
        for origin in ("http://good.example", "https://good.example:444", "http://b.example",
                       "https://good.example.evil.example", "https://xgood.example", s.http):
            response = await refused(s.url, origin=origin)
            same(response and response.status_code, 403, f"status for {origin}")
    with Server("--echo", "--origin", "*") as s:
        same(await refused(s.url, origin="https://any.example"), None)


async def test_path_query_and_many_headers_reach_the_log():
    with Server("--echo") as s:
        headers = {f"X-Field-{i}": "v" * 50 for i in range(50)}
        async with connect(s.url + "a%20b/c?d=e", additional_headers=headers) as client:
            await echoes(client, "x")
        assert (await s.closed())["path"].startswith("/a%20b/c"), s.log


# ---- addresses

async def test_unix_socket_echoes_with_mode_600_and_is_replaced_when_stale():
    with scratch() as directory:
        path = directory + "/s"
        with Server("--echo", listen=[f"unix:{path}"]) as s:
            same(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")
            async with unix_connect(path, "ws://localhost/", max_size=None) as client:
                await echoes(client, text(1 << 20))
            r = run_ws("--listen", f"unix:{path}")
            same(r.returncode, 1, "status of a second server")
            assert path in r.stderr and "in use" in r.stderr, r.stderr
            s.signal(signal.SIGKILL)
            s.wait()
        assert os.path.exists(path), "SIGKILL cannot have removed it"
        with Server("--echo", listen=[f"unix:{path}"]):
            async with unix_connect(path, "ws://localhost/") as client:
                await echoes(client, "again")
        assert not os.path.exists(path), "the socket file stays behind"
        with open(path, "w") as f:
            f.write("precious")
        same(run_ws("--listen", f"unix:{path}").returncode, 1, "status for a plain file")
        assert os.path.exists(path), "a plain file was removed"


async def test_abstract_socket_and_several_addresses():
    name = f"ws-interop-{os.getpid()}"
    with Server("--echo", listen=[f"unix:@{name}", "127.0.0.1:0", "127.0.0.1:0"]) as s:
        async with unix_connect("\0" + name, "ws://localhost/") as client:
            await echoes(client, "abstract")
        for url in s.urls[1:]:
            async with connect(url) as client:
                await echoes(client, "tcp")


async def test_ipv6_loopback_echoes():
    if not os.path.exists("/proc/net/if_inet6"):
        return
    with Server("--echo", listen=["[::1]:0"]) as s:
        async with connect(s.url, origin=s.http) as client:
            await echoes(client, "six")
        assert (await s.closed())["peer"].startswith("[::1]:"), s.log


# ---- many peers, slow peers, silent peers

async def test_500_connections_echo_at_once():
    with Server("--echo") as s:
        before = s.descriptors()

        async def one(i):
            async with connect(s.url, compression=None, open_timeout=20) as client:
                for j in range(10):
                    await echoes(client, f"{i} {j}")
                await together.wait()
        together = asyncio.Barrier(500)
        await asyncio.gather(*map(one, range(500)))
        await s.closed(500)
        same(len(s.logged("clean=yes")), 500, "clean closes")
        until(lambda: s.descriptors() == before, failure="descriptors stay open")


async def test_broadcast_reaches_everyone_but_the_sender_in_order():
    with Server("--broadcast") as s:
        async with connect(s.url) as a, connect(s.url) as b, connect(s.url) as c:
            for i in range(200):
                await a.send(f"a{i}")
            await a.send(binary(1 << 20))
            for peer in (b, c):
                same([await peer.recv() for _ in range(200)], [f"a{i}" for i in range(200)])
                same(await peer.recv(), binary(1 << 20))
            await b.send("from b")
            same(await a.recv(), "from b", "the first thing the sender itself gets")
            same(await c.recv(), "from b")


# bad: 170
async def test_slow_reader_of_a_broadcast_is_dropped_and_the_others_go_on():
    with Server("--broadcast", "--max-message", "1M") as s:
        async with connect(s.url) as a, connect(s.url) as b:
            slow = await ws_connect(s.url, **PLAIN, max_queue=1)
            slow.transport.pause_reading()
            for i in range(40):
                await a.send(binary(1 << 20))
                same(await b.recv(), binary(1 << 20))
            assert s.memory() < 64 << 20, f"{s.memory() >> 20} MiB resident"
            slow.transport.resume_reading()
            same(await closing(slow), (1013, "reads too slowly"))


# bad: 171
async def test_echo_to_a_peer_that_does_not_read_stays_bounded_then_recovers():
    with Server("--echo") as s:
        async with connect(s.url, max_queue=1, compression=None) as client, \
                connect(s.url) as other:
            client.transport.pause_reading()
            sent = 0

            async def feed():
                nonlocal sent
                while sent < 4000:
                    await client.send(sent.to_bytes(4, "big") + bytes(65532))
                    sent += 1
            feeding = asyncio.create_task(feed())
            stalled = -1
            while sent != stalled:
                stalled = sent
                await asyncio.sleep(0.3)
            assert stalled < 4000, "nothing pushed back"
            assert s.memory() < 64 << 20, f"{s.memory() >> 20} MiB resident"
            await echoes(other, "not held up")
            await asyncio.to_thread(check_idle, s)
            client.transport.resume_reading()
            for i in range(stalled):
                same((await client.recv())[:4], i.to_bytes(4, "big"), "order")
            feeding.cancel()
            client.transport.abort()


async def test_idle_server_with_open_connections_sleeps():
    with Server("--echo") as s:
        clients = await asyncio.gather(*(ws_connect(s.url, **PLAIN) for _ in range(50)))
        await asyncio.to_thread(check_idle, s)
        await asyncio.gather(*(c.close() for c in clients))
        await s.closed(50)
        await asyncio.to_thread(check_idle, s)


# req: 83, 88
# bad: 173
async def test_silent_peer_is_dropped_and_one_that_answers_pings_is_not():
    with Server("--echo", "--idle", "0.6") as s:
        alive = await ws_connect(s.url, **PLAIN)
        silent = await ws_connect(s.url, **PLAIN)
        start = time.monotonic()
        silent.transport.pause_reading()
        line = await s.closed()
        took = time.monotonic() - start
        same((line["id"], line["code"], line["clean"]), ("2", "1006", "no"))
        assert 0.5 <= took <= 1.2, f"dropped after {took:.2f} s"
        await asyncio.sleep(1)
        await echoes(alive, "answers pings")
        same(len(s.logged("^ws: close ")), 1, "closed")
        silent.transport.abort()
        await alive.close()


# bad: 177
async def test_1000_connections_one_after_another_leave_no_memory():
    with Server("--echo") as s:
        async def batch(n):
            for _ in range(n):
                async with connect(s.url, compression=None) as client:
                    await echoes(client, "x" * 1000)
        await batch(200)
        before = s.memory()
        await batch(1000)
        grown = s.memory() - before
        assert grown < 512 << 10, f"grew by {grown >> 10} KiB"


async def test_healthz_answers_while_connections_are_open():
    with Server("--echo") as s:
        async with connect(s.url):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            r = await asyncio.to_thread(opener.open, s.http + "/healthz", None, 3)
            same((r.status, r.read()), (200, b"ok\n"))


# ---- the chat

async def test_chat_full_room_is_closed_1013():
    with Server("--chat") as s:
        with contextlib.ExitStack() as stack:
            for _ in range(250):
                stack.enter_context(raw_peer(s))
            async with connect(s.url) as late:
                same((await closing(late))[0], 1013, "close code")
        await s.closed(251)
        async with connect(s.url) as client:
            assert (await client.recv()).startswith("you "), "the room stays full"


async def test_chat_protocol_as_the_manual_says():
    with Server("--chat") as s:
        async with connect(s.url + "?name=Ann%C3%A9") as a:
            same(await a.recv(), "you 1 Ann\u00e9")
            await a.send("say first\nline two")
            said = await a.recv()
            assert said.startswith("say ") and said.endswith(" 1 first\nline two"), said
            stamp = said.split(" ")[1]
            async with connect(s.url + "?name=Ann%C3%A9") as b:
                same(await b.recv(), "you 2 Ann\u00e9 2")
                same(await b.recv(), "who 1 Ann\u00e9")
                same(await b.recv(), f"past {stamp} 1 Ann\u00e9\nfirst\nline two")
                same(await a.recv(), "join 2 Ann\u00e9 2")
                await b.send("ping 12.5")
                same(await b.recv(), "pong 12.5")
                await b.send("name Bob")
                same((await a.recv(), await b.recv()), ("name 2 Bob",) * 2)
                for wrong in ("", "say", "say ", "shout hi", "name " + "x" * 41,
                              "say " + "x" * 2001, "name \u0007", "ping " + "1" * 65):
                    await b.send(wrong)
                    answer = await b.recv()
                    assert answer.startswith("error ") and len(answer) > 10, (wrong, answer)
            same(await a.recv(), "leave 2")


main(__name__)
