"""What the suites of the command line share: running `ws connect` and `ws ping`, servers of the
Python package `websockets`, and how the exit status is looked at."""
import base64
import contextlib
import hashlib
import os
import re
import socket
import subprocess
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve as sync_serve

from harness import WS, same

DONE, FAILED, USAGE, TLS, REFUSED, LOST, NO_MESSAGE = range(7)

# Nothing in the environment may send loopback to a proxy.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def run(*words, stdin=b"", seconds=20, env=None, **options):
    """`ws` with these arguments; what it wrote stays bytes."""
    if isinstance(stdin, bytes):
        options["input"] = stdin
    else:
        options["stdin"] = stdin
    return subprocess.run([WS, *words], capture_output=True, timeout=seconds,
                          env={**ENVIRONMENT, **(env or {})}, **options)


def connect(*words, **options):
    """With a short wait for answers where the test does not say: `ws serve` answers at once."""
    if not {"--linger", "--one"} & set(words):
        words = ("--linger", "0.1", *words)
    return run("connect", *words, **options)


def check(result, status, stdout=None, stderr=None):
    """The exit status, and if given all of stdout and a pattern for stderr."""
    same(result.returncode, status, f"exit status, with {result.stderr[-200:]!r} on stderr,")
    if stdout is not None:
        same(result.stdout, stdout, "stdout")
    if stderr is not None:
        assert re.search(stderr, result.stderr.decode()), result.stderr
    return result


@contextlib.contextmanager
def python_server(handler, **options):
    """The URL of a server of `websockets` that runs `handler(connection)` in threads."""
    def quiet(connection):
        with contextlib.suppress(ConnectionClosed):
            handler(connection)
    with sync_serve(quiet, "127.0.0.1", 0, **{"compression": None, **options}) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "ws://127.0.0.1:%d/" % server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(5)


def wait_open(process):
    """For a `ws connect -v`: the server may know earlier than the client that it is open."""
    for line in process.stderr:
        if line.startswith(b"* connected"):
            return
    raise AssertionError("it ended before it was open")


@contextlib.contextmanager
def started(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE):
    """A running `ws`, ended if it still runs."""
    process = subprocess.Popen([WS, *words], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                               env=ENVIRONMENT)
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def finish(process, seconds=10):
    """Close its stdin and let it end: as subprocess.run() tells it."""
    out, err = process.communicate(timeout=seconds)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def upgrade(peer, fields=b""):
    """The server's side of the opening handshake, by hand, with these lines in its answer."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(4096)
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)[1]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n" + fields +
                 b"\r\n")
