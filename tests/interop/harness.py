"""What the Python suites share: a `ws serve` process and its log, and a runner that prints one
line per check.  Standard library only."""
import asyncio
import inspect
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

WS = os.environ["INTEROP_WS"]
WORK = Path(os.environ["INTEROP_DIR"])
CHECK_SECONDS = 30

# Around each change of the length encoding (RFC 6455 5.2), and up to the default limit.
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20)


def binary(size):
    """Bytes in which a lost, doubled or moved one shows."""
    block = bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(65521))
    return (block * (size // len(block) + 1))[:size]


def text(size):
    """A string of exactly `size` bytes of UTF-8, with code points of every length."""
    unit = "a\u00e9\u20ac\U0001f600"
    count = size // len(unit.encode())
    return unit * count + "z" * (size - count * len(unit.encode()))


def scratch():
    """A directory for sockets and pages.  Short: a unix socket path has 107 bytes at most."""
    return tempfile.TemporaryDirectory(prefix="ws-")


class Server:
    """`ws serve --verbose` on a free port, stopped at the end of the `with`, when it must exit
    with status 0 (so a sanitizer's report is a failure too)."""

    running = []

    def __init__(self, *options, listen=("127.0.0.1:0",), argv=None):
        listens = [word for where in listen for word in ("--listen", where)]
        self.argv = argv or [WS, "serve", "--verbose", *listens, *options]
        self.count = len(listen)
        self.told = False                            # to end
        self.stdout, self.log = [], []
        self._changed = threading.Condition()

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        Server.running.append(self)
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.stdout),
                                      (self.process.stderr, self.log))]
        for r in self._readers:
            r.start()
        try:
            self._wait(lambda: len(self.stdout) >= self.count, 5, "no address on standard output")
        except BaseException:
            self._end(None)
            raise
        self.urls = [line.split(" on ", 1)[1].split(" ")[0] for line in self.stdout]
        self.url = self.urls[0]
        return self

    def __exit__(self, kind, *_):
        self._end(kind)

    @property
    def pid(self):
        return self.process.pid

    @property
    def http(self):
        return self.url.replace("ws", "http", 1).rstrip("/")

    @property
    def port(self):
        return int(re.search(r":(\d+)/?$", self.url)[1])

    def _read(self, stream, lines):
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def _wait(self, condition, seconds, failure):
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise AssertionError(failure)

    def logged(self, pattern):
        return [line for line in list(self.log) if re.search(pattern, line)]

    def wait_log(self, pattern, count=1, seconds=5):
        """The fields of the log line that is the `count`th to match."""
        self._wait(lambda: len(self.logged(pattern)) >= count, seconds,
                   f"{len(self.logged(pattern))} of {count} log lines match {pattern}")
        words = shlex.split(self.logged(pattern)[count - 1])
        return dict(word.split("=", 1) for word in words if "=" in word)

    async def closed(self, count=1, seconds=5):
        """The fields of the `count`th close line."""
        return await asyncio.to_thread(self.wait_log, "^ws: close ", count, seconds)

    def signal(self, number):
        self.process.send_signal(number)
        self.told = True

    def wait(self, seconds=10):
        status = self.process.wait(seconds)
        for r in self._readers:
            r.join(5)
        return status

    def _end(self, failed):
        if self.process.poll() is None and not self.told:
            self.signal(signal.SIGTERM)              # a second one would cut the stop short
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            status = "none: it had to be killed"
        if failed is None:
            Server.running.remove(self)
            if status != 0 and not (status == -signal.SIGKILL):
                tail = [f"the server's exit status: {status}", *self.log[-20:]]
                raise AssertionError("\n".join(tail))

    # What the kernel says about it.

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self):
        """Resident bytes; always 0 under a sanitizer, which keeps what is freed."""
        if "libasan" in Path(f"/proc/{self.pid}/maps").read_text():
            return 0
        return int(re.search(r"VmRSS:\s+(\d+)", self._status())[1]) * 1024

    def wakeups(self):
        return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", self._status())))

    def cpu(self):
        """Seconds used so far."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")

    def _status(self):
        return Path(f"/proc/{self.pid}/status").read_text()


def check_idle(server, seconds=1.0, wakeups=10):
    """Nothing happens, so it must sleep: no CPU time, and hardly a turn of the loop."""
    time.sleep(0.2)
    cpu, woken = server.cpu(), server.wakeups()
    time.sleep(seconds)
    cpu, woken = server.cpu() - cpu, server.wakeups() - woken
    assert cpu <= 0.02 * seconds, f"{cpu:.2f} s of CPU in {seconds} s of rest"
    assert woken <= wakeups * seconds, f"woke up {woken} times in {seconds} s of rest"


def raw_peer(server):
    """A socket on which the opening handshake is done, and that nobody reads or answers."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 b"Sec-WebSocket-Version: 13\r\n\r\n" % server.port)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return sock


def until(condition, seconds=5, failure="it did not happen"):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, failure
        time.sleep(0.01)


def same(got, wanted, what="got"):
    def show(x):
        return f"{len(x)} of {x[:40]!r}..." if hasattr(x, "__len__") and len(x) > 80 else repr(x)
    assert got == wanted, f"{what}: {show(got)}, not {show(wanted)}"


class Skip(Exception):
    """This check cannot be made here, and why."""


def run_one(test):
    if inspect.iscoroutinefunction(test):
        asyncio.run(asyncio.wait_for(test(), CHECK_SECONDS))
    else:
        test()


def main(module):
    """Run every test_* of the module, in the order they are written."""
    for name, test in list(vars(sys.modules[module]).items()):
        if not name.startswith("test_") or (len(sys.argv) > 1 and sys.argv[1] not in name):
            continue
        Server.running.clear()
        start = time.monotonic()
        try:
            run_one(test)
        except Skip as e:
            print(f"skip {name}: {e}", flush=True)
        except Exception as e:
            why = str(e) or type(e).__name__
            print(f"fail {name}: {why.splitlines()[0]}")
            lines = traceback.format_exc().splitlines()[-12:]
            for s in Server.running:
                lines += ["server:", *s.log[-6:]]
            print(*(" " + line for line in lines), sep="\n", flush=True)
        else:
            print(f"pass {name} ({time.monotonic() - start:.1f} s)", flush=True)
    print("done")
