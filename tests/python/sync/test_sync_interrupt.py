"""Ctrl-C at each call that blocks: a process of its own is told to block, and then interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest
from sync_support import DEADLINE, RawServer, frame

_PRELUDE = """
import sys, threading, time
from libws.sync.client import connect
from libws.sync.server import serve

uri = sys.argv[1]

def tell():
    # The signal may only come when the main thread waits; nothing tells that it does, so it is
    # looked at: two times the same place in the code.
    import traceback
    main = threading.main_thread().ident
    last = None
    while True:
        frame = sys._current_frames()[main]
        where = [(f.f_code, f.f_lasti) for f, _ in traceback.walk_stack(frame)]
        if where == last and any(code.co_name == "block" for code, _ in where[1:]):
            break
        last = where
        time.sleep(0.05)
    print("blocked", flush=True)

def block(call):
    threading.Thread(target=tell, daemon=True).start()
    try:
        call()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return
    print("returned", flush=True)

options = dict(proxy=None, open_timeout=None, close_timeout=None, compression=None)
"""

_CALLS = {
    "recv": "ws = connect(uri, **options); block(ws.recv); ws.abort()",
    "recv_with_timeout": "ws = connect(uri, **options); block(lambda: ws.recv(60)); ws.abort()",
    "iteration": "ws = connect(uri, **options); block(lambda: list(ws)); ws.abort()",
    "recv_streaming": (
        "ws = connect(uri, **options); block(lambda: list(ws.recv_streaming())); ws.abort()"
    ),
    "send": """
        ws = connect(uri, **options)
        def flood():
            while True:
                ws.send(bytes(2**20))
        block(flood)
        ws.abort()
    """,
    "send_fragments": """
        ws = connect(uri, **options)
        def pieces():
            while True:
                yield bytes(2**20)
        block(lambda: ws.send(pieces()))
        ws.abort()
    """,
    "close": "ws = connect(uri, **options); block(ws.close); ws.abort()",
    "wait_closed": "ws = connect(uri, **options); block(ws.wait_closed); ws.abort()",
    "ping": "ws = connect(uri, **options); block(ws.ping().wait); ws.abort()",
}

_BOTH = ["first", "second"]


def _run(script: str, uri: str) -> Iterator[str]:
    """Lines of the script's output; it is interrupted after the first."""
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", _PRELUDE + textwrap.dedent(script), uri],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    ended = threading.Timer(DEADLINE, process.kill)
    ended.start()
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, err
        yield from out.split()
    finally:
        ended.cancel()
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", _CALLS)
def test_interrupt_ends_the_call_at_once(name: str) -> None:
    with RawServer() as server:
        lines = _run(_CALLS[name], server.uri)
        assert next(lines) == "blocked"
        assert next(lines) == "interrupted"
        assert list(lines) == []
        server.listener.close()


def test_interrupt_of_connect_to_a_silent_listener() -> None:
    with RawServer(handshake=False) as server:
        lines = _run("block(lambda: connect(uri, **options))", server.uri)
        assert next(lines) == "blocked"
        assert list(lines) == ["interrupted"]


def test_interrupt_of_serve_forever_shuts_the_server_down() -> None:
    script = """
        with serve(lambda c: None, "127.0.0.1", 0) as server:
            block(server.serve_forever)
    """
    lines = _run(script, "")
    assert next(lines) == "blocked"
    assert list(lines) == ["interrupted"]


def test_interrupt_of_recv_loses_no_message() -> None:
    script = """
        ws = connect(uri, **options)
        got = []
        block(lambda: got.append(ws.recv()))
        while len(got) < 2:
            got.append(ws.recv())
        print(*got)
        ws.abort()
    """
    with RawServer() as server:
        lines = _run(script, server.uri)
        assert next(lines) == "blocked"
        server.send(frame(1, b"first") + frame(1, b"second"))
        # recv may have had the first before the signal came.
        assert list(lines) in (["interrupted", *_BOTH], ["returned", *_BOTH])


@pytest.mark.parametrize("close", ["", "ws.close()"])
def test_exit_of_the_program_does_not_wait_for_connections(close: str) -> None:
    script = f"""
        ws = connect(uri, proxy=None, close_timeout=0.1)
        print("open", flush=True)
        {close}
    """
    with RawServer() as server:
        process = subprocess.run(
            [sys.executable, "-X", "dev", "-c", _PRELUDE + textwrap.dedent(script), server.uri],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert (process.returncode, process.stdout) == (0, "open\n"), process.stderr
        assert "Traceback" not in process.stderr
