"""The programs of examples/python, as processes of their own that talk to each other."""

import contextlib
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/python"
DEADLINE_S = 20


class Program:
    """A running example: its lines as they come."""

    def __init__(self, name, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines = queue.Queue()
        self._complaints = []
        takers = (self._process.stdout, self._lines.put), (self._process.stderr, self._complain)
        self._readers = [threading.Thread(target=self._read, args=taker) for taker in takers]
        for reader in self._readers:
            reader.start()

    def _complain(self, line):
        self._complaints.append(line)

    def _read(self, stream, take):
        with stream:
            for line in stream:
                take(line.rstrip("\n"))

    def line(self):
        try:
            return self._lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"it says nothing more: {self._complaints}") from None

    def end(self, *, interrupt=False):
        """(exit status, what it wrote to stderr)"""
        if interrupt:
            self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(DEADLINE_S)
        finally:
            self.kill()
        return status, self._complaints

    def kill(self):
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(DEADLINE_S)


@pytest.fixture
def start():
    """start(name, *arguments): a Program, which is gone at the end of the test."""
    started = []

    def start_one(*argv):
        started.append(Program(*argv))
        return started[-1]

    yield start_one
    for program in started:
        program.kill()


@pytest.fixture
def serving(start):
    """with serving(name) as url: an example on a free port, which Ctrl-C ends without complaint."""

    @contextlib.contextmanager
    def serve(name):
        server = start(name, "0")
        port = re.fullmatch(r"listening on port (\d+)", server.line()).group(1)
        yield f"ws://localhost:{port}/"
        assert server.end(interrupt=True) == (0, [])

    return serve


@pytest.mark.parametrize("server", ["echo_server.py", "listener.py"])
def test_client_prints_what_the_server_sends_back(start, serving, server):
    with serving(server) as url:
        client = start("client.py", url, "one", "zw\u00f6lf")
        assert [client.line(), client.line()] == ["one", "zw\u00f6lf"]
        assert client.end() == (0, [])


@pytest.mark.parametrize("server", ["echo_server.py", "listener.py"])
def test_sync_client_prints_until_the_server_is_stopped(start, serving, server):
    with serving(server) as url:
        client = start("sync_client.py", url, "one", "two")
        assert [client.line(), client.line()] == ["one", "two"]
    assert client.end() == (0, [])


def test_chat_tells_everyone_what_one_says(start, serving):
    with serving("chat.py") as url:
        listening = start("sync_client.py", url + "Ada")
        assert listening.line() == "Ada is here"
        speaking = start("client.py", url + "Bob", "Hello")
        assert listening.line() == "Bob is here"
        assert speaking.line() == "Bob is here"
        assert listening.line() == "Bob: Hello"
        assert speaking.end() == (0, [])
        assert listening.line() == "Bob has gone"
    assert listening.end() == (0, [])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_example_is_short(path):
    assert len(path.read_text().splitlines()) < 40
