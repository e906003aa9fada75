"""python -m libws, as its user sees it: standard streams and exit statuses."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from libws import TLS
from libws._terminal import printable
from libws.sync.server import Server, ServerConnection, serve

DEADLINE = 10.0


@contextmanager
def running(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
    """The URI of a server."""
    server: Server = serve(handler, "127.0.0.1", 0, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    scheme = "wss" if "ssl" in options else "ws"
    try:
        yield f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}/"
    finally:
        server.shutdown()
        thread.join(DEADLINE)


def echo(c: ServerConnection) -> None:
    for message in c:
        c.send(message)


def libws(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "libws", *arguments],
        input=stdin,
        capture_output=True,
        timeout=3 * DEADLINE,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_version_is_told() -> None:
    status, out, _ = libws("--version")
    assert status == 0
    assert out.startswith("libws ")


@pytest.mark.parametrize("arguments", [[], ["connect"], ["--no-such-option", "ws://x/"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    assert libws(*arguments)[0] == 2


@pytest.mark.parametrize("command", [[], ["connect"]])
def test_connect_lines_are_messages_both_ways(command: list[str]) -> None:
    with running(echo) as uri:
        result = libws(*command, uri, "--linger", "0.1", stdin="one\nzwö\nlast".encode())
    assert result == (0, "one\nzwö\nlast\n", "")


def test_connect_binary_message_is_a_line_of_digits() -> None:
    with running(lambda c: c.send(b"\x00\xff")) as uri:
        assert libws(uri, "--linger", "never") == (0, "00ff\n", "")


def test_connect_hex_lines_are_binary() -> None:
    with running(echo) as uri:
        assert libws(uri, "--hex", "--linger", "0.1", stdin=b"00 FF\n") == (0, "00ff\n", "")


def test_connect_hex_bad_line_is_status_2() -> None:
    with running(echo) as uri:
        status, out, err = libws(uri, "--hex", stdin=b"zz\n")
    assert (status, out) == (2, "")
    assert "line 1" in err


def test_connect_binary_sends_and_prints_bytes() -> None:
    with running(echo) as uri:
        result = libws(uri, "--binary", "--linger", "0.1", stdin=b"no end of line")
    assert result == (0, "no end of line", "")


def test_connect_one_ends_after_the_first_message() -> None:
    def handler(c: ServerConnection) -> None:
        c.send("first")
        c.wait_closed(DEADLINE)

    with running(handler) as uri:
        assert libws(uri, "--one") == (0, "first\n", "")


def test_connect_one_without_a_message_is_status_6() -> None:
    with running(lambda c: c.wait_closed(DEADLINE) and None) as uri:
        assert libws(uri, "--one", "--linger", "0.05")[0] == 6


def test_connect_close_with_an_error_is_status_5() -> None:
    with running(lambda c: c.close(4000, "gone mad")) as uri:
        status, _, err = libws(uri, "--linger", "never")
    assert status == 5
    assert "4000" in err and "gone mad" in err


def test_connect_refused_is_status_4() -> None:
    with running(echo, process_request=lambda c, r: c.respond(403, "go away\n")) as uri:
        status, _, err = libws(uri)
    assert status == 4
    assert "403" in err and "go away" in err


def test_connect_to_nobody_is_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert libws(f"ws://127.0.0.1:{port}/")[0] == 1


def test_connect_bad_uri_is_status_2() -> None:
    assert libws("http://127.0.0.1/")[0] == 2


def test_connect_untrusted_certificate_is_status_3_unless_insecure() -> None:
    with running(echo, ssl=TLS.self_signed("localhost")) as uri:
        assert libws(uri)[0] == 3
        result = libws(uri, "-k", "--linger", "0.1", stdin=b"x\n")
        assert result == (0, "x\n", "")


def test_connect_options_reach_the_request() -> None:
    seen: list[Any] = []
    done = threading.Event()

    def handler(c: ServerConnection) -> None:
        seen.append(c.request)
        c.send(str(c.subprotocol))
        done.set()

    with running(handler, subprotocols=["chat"]) as uri:
        arguments = ["-H", "X-Test: 1", "--origin", "https://a.example", "-u", "me:secret"]
        result = libws(uri, *arguments, "--subprotocol", "chat", "--no-compress", "-v", "--one")
        assert done.wait(DEADLINE)
    status, out, err = result
    assert (status, out) == (0, "chat\n")
    headers = seen[0].headers
    assert headers["X-Test"] == "1" and headers["Origin"] == "https://a.example"
    assert headers["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "Sec-WebSocket-Extensions" not in headers
    assert "X-Test: 1" in err and "bWU6c2VjcmV0" not in err


def test_connect_sigint_closes_politely() -> None:
    codes: list[int | None] = []

    def handler(c: ServerConnection) -> None:
        c.send("ready")
        c.wait_closed(DEADLINE)
        codes.append(c.close_code)

    with running(handler) as uri:
        process = subprocess.Popen(
            [sys.executable, "-m", "libws", uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert codes == [1000]


def test_connect_reader_that_has_enough_is_no_failure() -> None:
    def handler(c: ServerConnection) -> None:
        while True:
            c.send("x" * 10_000)

    with running(handler) as uri:
        process = subprocess.Popen(
            [sys.executable, "-m", "libws", uri, "--linger", "never"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(5)
        process.stdout.close()
        with process.stderr:
            err = process.stderr.read()
        assert process.wait(DEADLINE) == 0
        assert err == b""


def _read_until(terminal: int, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], DEADLINE)
        assert ready, seen
        seen += os.read(terminal, 4096)
    return seen


def test_connect_on_a_terminal_has_a_prompt_and_shows_what_comes() -> None:
    with running(echo) as uri:
        child, terminal = pty.fork()
        if child == 0:
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, "-m", "libws", uri])
        try:
            _read_until(terminal, b"> ")
            os.write(terminal, b"hello\n")
            _read_until(terminal, b"< hello")
            os.write(terminal, b"\x04")
            _, status = os.waitpid(child, 0)
        finally:
            os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


def test_connect_on_a_terminal_ends_when_the_server_closes() -> None:
    go = threading.Event()

    def handler(c: ServerConnection) -> None:
        assert go.wait(DEADLINE)

    with running(handler) as uri:
        child, terminal = pty.fork()
        if child == 0:
            os.execv(sys.executable, [sys.executable, "-m", "libws", uri])
        try:
            _read_until(terminal, b"> ")
            go.set()
            _read_until(terminal, b"closed by the server")
            _, status = os.waitpid(child, 0)
        finally:
            os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


def test_printable_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2J\tb\n\u202ec\x9b") == "a\\x1b[2J    b\n  \\u202ec\\u009b"


def test_ping_prints_round_trips() -> None:
    with running(echo) as uri:
        status, out, err = libws("ping", uri, "-c", "2", "-i", "0.01")
    assert (status, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == ["pong 1", "pong 2"]


def test_serve_echoes_until_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "libws", "serve", "127.0.0.1:0"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    uri = process.stdout.readline().decode().split()[-1]
    assert libws(uri, "--linger", "0.1", stdin=b"x\n") == (0, "x\n", "")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
