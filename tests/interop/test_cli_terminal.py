"""`ws connect` at a terminal: the prompt, what is printed above it, and what a server cannot do."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time

from cli import ENVIRONMENT, python_server
from harness import WS, Server, main, same


class Terminal:
    """`ws` in a pseudo-terminal; `shell`: as a shell starts it, not as the session's leader."""

    def __init__(self, *words, shell=True, term="xterm", columns=40):
        quoted = " ".join(f"'{w}'" for w in (WS, *words))
        argv = ["sh", "-c", f'trap : INT; {quoted}; echo "status $?"'] if shell else [WS, *words]
        go_read, go_write = os.pipe()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.read(go_read, 1)                          # until the window has its size
            os.execvpe(argv[0], argv, {**ENVIRONMENT, "TERM": term})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.write(go_write, b"x")
        os.close(go_read)
        os.close(go_write)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)                                # hangs up: SIGHUP for all in it
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def type(self, data):
        os.write(self.fd, data)

    def expect(self, wanted, seconds=10):
        """Read until `wanted` was shown; returns what came before and takes both away."""
        end = time.monotonic() + seconds
        while wanted not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{wanted!r} was not shown: {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:
                    raise AssertionError(f"ended before {wanted!r}: {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(wanted)
        return before


def test_terminal_prompts_and_prints_above_the_line_being_typed():
    go = threading.Event()

    def handler(ws):
        ws.send("greeting")
        go.wait(10)
        ws.send("x" * 50)                                # two rows of 40 columns
        ws.send("typed: " + ws.recv())
        ws.recv()
    with python_server(handler) as url, Terminal("connect", url) as t:
        t.expect(b"; Ctrl-D ends\r\n")
        t.expect(b"> ")
        # Saved, scrolled by as many rows as needed, inserted, written, restored.
        t.expect(b"\x1b7\r\n\r\x1b[1A\x1b[1L< greeting\x1b8\x1b[1B")
        t.type(b"half")
        t.expect(b"half")
        go.set()
        t.expect(b"\x1b7\r\n\r\n\r\x1b[2A\x1b[2L< " + b"x" * 50 + b"\x1b8\x1b[2B")
        t.type(b" a line\n")
        t.expect(b"< typed: half a line\x1b8")
        t.type(b"\x04")
        t.expect(b"status 0")


def test_terminal_of_its_own_and_dumb_ones_get_plain_lines():
    for options in ({"shell": False}, {"term": "dumb"}):
        with Server() as s, Terminal("connect", s.url, **options) as t:
            t.expect(b"> ")
            t.type(b"hello\n")
            t.expect(b"< hello\r\n> ")
            assert b"\x1b[1L" not in t.seen and b"\x1b7" not in t.seen, t.seen
            t.type(b"\x04")
            same(s.wait_log("^ws: close ")["code"], "1000")


def test_terminal_cannot_be_steered_by_the_server():
    bad = ("\x1b]0;title\x07 \x1b[2J \x9b31m \x85 \u202e \u2028 \x7f \x00 \x08 \r tab\t. "
           "\u20ac\n> fake")
    with python_server(lambda ws: (ws.send(bad), ws.send(b"\x1b[2J"), ws.recv())) as url:
        with Terminal("connect", url, shell=False) as t:
            shown = t.expect(b"(binary, 4 bytes) 1b5b324a")
            line = re.search(rb"< (.*)\r\n  > fake\r\n", shown, re.S)[1].decode()
            same(line, r"\x1b]0;title\x07 \x1b[2J \u009b31m \u0085 \u202e \u2028 \x7f \x00 \x08 "
                       r"\x0d tab    . " + "\u20ac")


def test_terminal_line_that_cannot_be_sent_does_not_end_it():
    with Server() as s, Terminal("connect", s.url) as t:
        t.expect(b"> ")
        t.type(b"\xff\n")
        t.expect(b"not sent: the text is not UTF-8")
        t.type(b"good\n")
        t.expect(b"< good")
        t.type(b"\x03")
        t.expect(b"status 0")


main(__name__)
