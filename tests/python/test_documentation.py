"""Every block of Python in docs/python.md and in README.md's Python section runs as it stands.

What a fence says of its block:

    ```python            runs, against the server of the last `server` block before it
    ```python server     serves until it is interrupted, on port 8765 (the test puts a free one)
    ```python fragment   is only compiled

What a block prints is compared with its comments `# -> line`.  A block that needs a package that
is not installed is skipped.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30
PORT = "8765"

FENCE = re.compile(r"^```(\w*)[ ]?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## Python$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"# -> (.*)$", re.MULTILINE)
LISTENS = re.compile(r"server listening on|running on http")
# Servers tell by logging that they listen.
RUN = "import logging, runpy, sys; logging.basicConfig(level='INFO'); runpy.run_path(sys.argv[1])"
# What no block may leave on standard error: tracebacks, and what was not awaited or not closed.
FAULT = re.compile(
    r"^ERROR|Traceback|Exception ignored|RuntimeWarning|ResourceWarning", re.MULTILINE
)


class Block(NamedTuple):
    where: str  # file and line
    kind: str  # "", "server" or "fragment"
    code: str
    server: str | None  # of the block that it talks to


def blocks_of(text: str, where: str, first_line: int = 1) -> list[Block]:
    blocks = []
    server = None
    for fence in FENCE.finditer(text):
        language, kind, code = fence.groups()
        if language != "python":
            continue
        line = text.count("\n", 0, fence.start()) + first_line
        uses_server = kind == "" and PORT in code
        blocks.append(Block(f"{where}:{line}", kind, code, server if uses_server else None))
        if kind == "server":
            server = code
    return blocks


def guide() -> list[Block]:
    return blocks_of((ROOT / "docs/python.md").read_text(), "docs/python.md")


def readme() -> list[Block]:
    text = (ROOT / "README.md").read_text()
    section = SECTION.search(text)
    assert section is not None, "README.md has no section Python"
    line = text.count("\n", 0, section.start()) + 1
    return blocks_of(section.group(), "README.md", line)


def parameters(*kinds: str) -> pytest.MarkDecorator:
    found = [pytest.param(b, id=b.where) for b in guide() + readme() if b.kind in kinds]
    assert found, kinds
    return pytest.mark.parametrize("block", found)


def need_packages(code: str) -> None:
    for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return str(sock.getsockname()[1])


def start(code: str, port: str, path: Path) -> subprocess.Popen[str]:
    path.write_text(code.replace(PORT, port))
    argv = [sys.executable, "-X", "dev", "-c", RUN, str(path)]
    return subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@contextlib.contextmanager
def serving(code: str | None, port: str, path: Path) -> Iterator[None]:
    """Run a server, from the line that says it listens on; then interrupt it."""
    if code is None:
        yield
        return
    with start(code, port, path) as server:
        said = ""
        try:
            assert server.stderr is not None
            while not LISTENS.search(said):
                line = server.stderr.readline()
                assert line, f"the server ended: {said}"
                said += line
            yield
        except BaseException:
            server.kill()
            raise
        server.send_signal(signal.SIGINT)
        try:
            _, rest = server.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    assert server.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT), rest
    # The traceback of the interrupt itself is no fault.
    said += re.sub(r"^Traceback (?:.*\n)*?KeyboardInterrupt$", "", rest, flags=re.MULTILINE)
    assert not FAULT.search(said), said


@parameters("", "server", "fragment")
def test_block_is_python(block: Block) -> None:
    compile(block.code, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@parameters("")
def test_block_runs_and_prints_what_it_says(block: Block, tmp_path: Path) -> None:
    need_packages(block.code + (block.server or ""))
    port = free_port()
    with serving(block.server, port, tmp_path / "server.py"):
        program = start(block.code, port, tmp_path / "block.py")
        try:
            out, err = program.communicate(timeout=DEADLINE_S)
        finally:
            program.kill()
            program.wait()
    assert program.returncode == 0, err
    assert out.splitlines() == PRINTED.findall(block.code)
    assert not FAULT.search(err), err


@parameters("server")
def test_server_block_serves_until_it_is_interrupted(block: Block, tmp_path: Path) -> None:
    need_packages(block.code)
    port = free_port()
    with (
        serving(block.code, port, tmp_path / "server.py"),
        socket.create_connection(("127.0.0.1", int(port)), timeout=DEADLINE_S) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(5) == b"HTTP/"


@pytest.mark.parametrize(
    "code",
    [
        'print("one")  # -> two\n',
        "# -> one\n",
        "raise SystemExit(1)\n",
        "import libws\nlibws.connect('ws://127.0.0.1/')\n",
    ],
    ids=["other output", "no output", "exit status", "not awaited"],
)
def test_a_block_that_is_wrong_fails(code: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        test_block_runs_and_prints_what_it_says(Block("here", "", code, None), tmp_path)
