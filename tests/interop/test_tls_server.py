"""`ws serve` over TLS, against `openssl s_client`, curl and the Python package `websockets`."""
import asyncio
import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed

from certs import Authority
from harness import SIZES, Server, binary, check_idle, main, same, scratch, text, until

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PLAIN = {"proxy": None, "max_size": None, "ping_interval": None, "compression": None}


@contextlib.contextmanager
def tls_server(*options):
    """A server with a certificate for localhost, and the authority that issued it."""
    with scratch() as directory:
        authority = Authority(directory)
        cert, key = authority.issue()
        options = [word.replace("CA", authority.ca) if word == "CA" else word for word in options]
        with Server("--tls-cert", cert, "--tls-key", key, *options) as s:
            assert s.url.startswith("wss://"), s.url
            yield s, authority


def s_client(s, *options, say=GET, status=None):
    """Its output, both streams together."""
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", "-servername", "localhost",
            "-ign_eof", *options]
    r = subprocess.run(argv, input=say, capture_output=True, timeout=10)
    if status is not None:
        same(r.returncode, status, f"status of s_client {' '.join(options)}")
    return (r.stdout + r.stderr).decode("latin-1")


def alive(s, authority):
    out = s_client(s, "-CAfile", authority.ca, "-verify_return_error", status=0)
    assert "HTTP/1.1 200" in out, out[-500:]


# ---- the handshake

# req: 110
def test_tls_1_2_and_1_3_are_spoken_and_older_ones_are_not():
    with tls_server() as (s, ca):
        for option, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            out = s_client(s, option, "-CAfile", ca.ca, "-verify_return_error", status=0)
            assert re.search(rf"New, {name}, Cipher is \S+(GCM|POLY1305)", out), out
            assert "HTTP/1.1 200" in out and "Verify return code: 0 (ok)" in out, out
        for option in ("-tls1", "-tls1_1"):
            out = s_client(s, option, "-cipher", "DEFAULT@SECLEVEL=0", status=1)
            assert "alert protocol version" in out and "HTTP/1.1" not in out, out
        alive(s, ca)
    with tls_server("--tls-min", "1.3") as (s, ca):
        assert "alert protocol version" in s_client(s, "-tls1_2", status=1)
        alive(s, ca)


def test_ciphers_without_forward_secrecy_or_with_cbc_are_refused():
    with tls_server() as (s, ca):
        for cipher in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                       "aNULL@SECLEVEL=0"):
            out = s_client(s, "-tls1_2", "-cipher", cipher, status=1)
            assert "handshake failure" in out or "no ciphers" in out, (cipher, out)
        alive(s, ca)


def test_renegotiation_is_refused():
    with tls_server() as (s, ca):
        argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", "-tls1_2"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as p:
            head = b""
            while b"Verify return code" not in head:
                piece = p.stdout.read1(65536)
                assert piece, head
                head += piece
            time.sleep(0.1)
            out, _ = p.communicate(b"R\n", timeout=10)
        out = out.decode("latin-1")
        assert "RENEGOTIATING" in out and "no renegotiation" in out, out
        alive(s, ca)


def test_alpn_chooses_http_1_1_and_refuses_http_2_alone():
    with tls_server() as (s, ca):
        for offer in ("http/1.1", "h2,http/1.1", "http/1.1,h2"):
            assert "ALPN protocol: http/1.1" in s_client(s, "-alpn", offer, status=0), offer
        assert "No ALPN negotiated" in s_client(s, status=0)
        out = s_client(s, "-alpn", "h2", status=1)
        assert "no application protocol" in out and "HTTP/1.1" not in out, out
        alive(s, ca)


def test_session_is_resumed():
    with tls_server() as (s, _):
        out = s_client(s, "-tls1_2", "-reconnect", status=0)
        same((out.count("\nNew, TLSv1.2"), out.count("\nReused, TLSv1.2")), (1, 5), "handshakes")
        with scratch() as directory:
            for version in ("-tls1_2", "-tls1_3"):
                path = directory + "/session"
                assert "\nNew, " in s_client(s, version, "-sess_out", path, status=0)
                out = s_client(s, version, "-sess_in", path, status=0)
                assert "\nReused, " in out and "HTTP/1.1 200" in out, out


def test_client_certificate_is_asked_for_and_checked():
    with tls_server("--client-ca", "CA") as (s, ca):
        good, key = ca.issue("somebody", purpose="clientAuth")
        for version in ("-tls1_2", "-tls1_3"):
            out = s_client(s, version, "-cert", good, "-key", key, status=0)
            assert "HTTP/1.1 200" in out, out
            assert "HTTP/1.1" not in s_client(s, version), "without a certificate"
            stranger = Authority(ca.directory, "stranger").issue("other", purpose="clientAuth")
            expired = ca.issue("late", purpose="clientAuth", days=-1)
            servers = ca.issue("server2")
            for cert, its_key in (stranger, expired, servers):
                out = s_client(s, version, "-cert", cert, "-key", its_key)
                assert "alert" in out and "HTTP/1.1" not in out, (cert, out)
        out = s_client(s, "-cert", good, "-key", key, status=0)
        assert "HTTP/1.1 200" in out, out
    with tls_server("--client-ca", "CA", "--client-cert", "optional") as (s, ca):
        alive(s, ca)
        stranger = Authority(ca.directory, "stranger").issue("other", purpose="clientAuth")
        assert "HTTP/1.1" not in s_client(s, "-cert", stranger[0], "-key", stranger[1])


def test_sighup_takes_the_new_certificate_and_keeps_the_old_one_if_it_is_bad():
    with scratch() as directory:
        old = Authority(directory)
        cert, key = old.issue()
        with Server("--tls-cert", cert, "--tls-key", key) as s:
            alive(s, old)
            new = Authority(directory, "successor")
            for source, target in zip(new.issue(), (cert, key)):
                shutil.copy(source, target)
            s.process.send_signal(signal.SIGHUP)

            def changed():
                return "HTTP/1.1 200" in s_client(s, "-CAfile", new.ca, "-verify_return_error")
            until(changed, failure="the old certificate is still given")
            with open(cert, "w") as f:
                f.write("broken")
            s.process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            alive(s, new)


# ---- those who do not mean well

# req: 49
def test_plain_http_to_a_tls_port_is_not_read():
    with tls_server() as (s, ca):
        with socket.create_connection(("127.0.0.1", s.port), timeout=5) as peer:
            peer.sendall(GET)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := peer.recv(4096):
                    got += piece
        assert b"HTTP/1.1" not in got and len(got) < 100, got
        same(s.logged("^ws: request "), [], "requests")
        alive(s, ca)


# bad: 50
def test_silent_and_broken_handshakes_do_not_hold_up_others():
    with tls_server() as (s, ca), contextlib.ExitStack() as stack:
        before = s.descriptors()
        for i in range(100):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", s.port)))
            peer.sendall((b"", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n",
                          b"\x16\x03\x01\xff\xff" + b"\x00" * 500)[i % 4])
        alive(s, ca)
        check_idle(s)
        stack.close()
        until(lambda: s.descriptors() == before, failure="descriptors stay open")


# ---- WebSocket over it

def connect(s, ca, **options):
    return ws_connect(s.url.replace("127.0.0.1", "localhost"),
                      **{**PLAIN, "ssl": ca.context(), **options})


async def closing(peer, seconds=5):
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(seconds):
            while True:
                await peer.recv()
    return peer.close_code, peer.close_reason


async def echoes(peer, message):
    await peer.send(message)
    same(await peer.recv(), message, "echo")


async def test_every_size_comes_back_over_tls_1_2_and_1_3():
    with tls_server("--echo") as (s, ca):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ca.context()
            context.minimum_version = context.maximum_version = version
            async with connect(s, ca, ssl=context) as peer:
                for size in SIZES:
                    await echoes(peer, binary(size))
                    await echoes(peer, text(size))
        line = await s.closed(2)
        same((line["messages_in"], line["code"], line["clean"]), ("18", "1000", "yes"))


async def test_100_connections_over_tls_echo_at_once_and_leave_nothing():
    with tls_server("--echo") as (s, ca):
        before = s.descriptors()

        async def one(i):
            async with connect(s, ca, open_timeout=20) as peer:
                for j in range(10):
                    await echoes(peer, f"{i} {j}")
                await together.wait()
        together = asyncio.Barrier(100)
        await asyncio.gather(*map(one, range(100)))
        await s.closed(100)
        same(len(s.logged("clean=yes")), 100, "clean closes")
        until(lambda: s.descriptors() == before, failure="descriptors stay open")


async def test_echo_over_tls_to_a_peer_that_does_not_read_stays_bounded_then_recovers():
    with tls_server("--echo") as (s, ca):
        async with connect(s, ca, max_queue=1) as peer, connect(s, ca) as other:
            peer.transport.pause_reading()
            sent = 0

            async def feed():
                nonlocal sent
                while sent < 4000:
                    await peer.send(sent.to_bytes(4, "big") + bytes(65532))
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
            peer.transport.resume_reading()
            for i in range(stalled):
                same((await peer.recv())[:4], i.to_bytes(4, "big"), "order")
            feeding.cancel()
            peer.transport.abort()


# bad: 177
async def test_500_connections_over_tls_one_after_another_leave_no_memory():
    with tls_server("--echo") as (s, ca):
        context = ca.context()

        async def batch(n):
            for _ in range(n):
                async with connect(s, ca, ssl=context) as peer:
                    await echoes(peer, "x" * 1000)
        await batch(200)
        before = s.memory()
        await batch(500)
        grown = s.memory() - before
        assert grown < 512 << 10, f"grew by {grown >> 10} KiB"


async def test_ends_over_tls_are_told_as_without_it():
    with tls_server("--echo", "--max-message", "1000") as (s, ca):
        async with connect(s, ca) as peer:
            await peer.close(4000, "bye")
        line = await s.closed()
        same((line["code"], line["reason"], line["clean"]), ("4000", "bye", "yes"))
        async with connect(s, ca) as peer:
            await peer.send(binary(1001))
            same((await closing(peer))[0], 1009, "close code")
        peer = await connect(s, ca)
        peer.transport.abort()                       # a TCP end without TLS's close_notify
        line = await s.closed(3)
        same((line["code"], line["clean"]), ("1006", "no"))
        async with connect(s, ca) as peer:
            s.signal(signal.SIGTERM)
            same((await closing(peer))[0], 1001, "close code")


async def test_self_signed_certificate_can_be_written_out_and_trusted():
    with scratch() as directory:
        path = directory + "/self.pem"
        with Server("--echo", "--self-signed", "--self-signed-out", path) as s:
            context = ssl.create_default_context(cafile=path)
            for host in ("localhost", "127.0.0.1"):
                url = s.url.replace("127.0.0.1", host)
                async with ws_connect(url, ssl=context, **PLAIN) as peer:
                    await echoes(peer, host)


def test_curl_gets_pages_and_an_upgrade_over_tls():
    def curl(*words):
        argv = ["curl", "-q", "-s", "-i", "--noproxy", "*", "--max-time", "3", *words]
        return subprocess.run(argv, capture_output=True, text=True, errors="replace")
    if shutil.which("curl") is None:
        return
    with tls_server("--chat") as (s, ca):
        url = f"https://localhost:{s.port}"
        out = curl("--cacert", ca.ca, url + "/").stdout
        assert re.match(r"HTTP/1.1 200 ", out) and "<html" in out, out[:300]
        assert re.match(r"HTTP/1.1 200 ", curl("--insecure", "--http2", url + "/healthz").stdout)
        same(curl(url + "/healthz").returncode, 60, "curl's status for an unknown issuer")
        upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Origin: {url}"]
        words = [word for line in upgrade for word in ("-H", line)]
        out = curl("--cacert", ca.ca, "--http1.1", "--max-time", "0.5", *words, url + "/").stdout
        assert re.match(r"HTTP/1.1 101 ", out), out[:300]
        version = subprocess.run(["curl", "-q", "-V"], capture_output=True, text=True).stdout
        if " wss" in version:
            before = len(s.logged("^ws: open "))
            curl("--cacert", ca.ca, "--max-time", "1", f"wss://localhost:{s.port}/")
            s.wait_log("^ws: open ", before + 1)


main(__name__)
