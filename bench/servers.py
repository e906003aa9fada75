"""The servers that are compared, and running one of them or a load program.

bench/run and bench/instructions share this file, so a peer added to SERVERS is known to both.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START_S = 20  # how long a server may take until it names its address; valgrind needs a few
STOP_S = 20
READY = re.compile(r"ws://\S+|listening on (\d\S*:\d+)")


@dataclasses.dataclass
class Server:
    """How to start a server.

    {build} and {port} are filled in; the command is looked up in PATH when it is a bare word.
    It is ready once it has printed its ws:// URL or `listening on HOST:PORT`.
    """

    command: list
    raw: bool = False  # echoes bytes, knows no WebSocket
    needs: list = dataclasses.field(default_factory=list)  # Python modules


SERVERS = {
    "floor": Server(["{build}/bench/floor", "--port", "{port}"], raw=True),
    "libws": Server(
        ["{build}/cli/ws", "serve", "--echo", "--listen", "127.0.0.1:{port}", "--quiet"]
    ),
    "websockets": Server(
        [sys.executable, os.path.join(HERE, "peers", "websockets_echo.py"), "{port}"],
        needs=["websockets"],
    ),
}


class NotRun(Exception):
    """A server that is not there or does not start: to be reported, not to stop for."""


class Failed(Exception):
    """A server that ran and did wrong, or a load program that could not measure it."""


@dataclasses.dataclass
class Running:
    pid: int
    target: list  # the options that point load and idle to it


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpus():
    """The CPU for the server and the one for the load, or None when there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


def pin(cpu):
    """What a child has to do to stay on this CPU."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def command_of(server, build, port):
    for module in server.needs:
        if subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode:
            raise NotRun(f"no Python module {module}")
    command = [word.format(build=build, port=port) for word in server.command]
    if shutil.which(command[0]) is None:
        raise NotRun(f"no program {os.path.basename(command[0])}")
    return command


def wait_until_ready(process, output):
    """Returns what the server printed as its address."""
    end = time.monotonic() + START_S
    while True:
        ended = process.poll() is not None
        output.seek(0)
        printed = output.read().decode(errors="replace")
        found = READY.search(printed)
        if found and printed.endswith("\n"):
            return found
        if ended:
            last = printed.strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
            raise NotRun(last[0])
        if time.monotonic() > end:
            raise NotRun("printed no address")
        time.sleep(0.01)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(server, build, cpu=None, prefix=()):
    """Starts the server, under `prefix` (valgrind) if given, and stops it again.

    Its output goes to a file and not to a pipe: a chatty peer must not block on us.
    """
    command = [*prefix, *command_of(server, build, free_port())]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=pin(cpu),
        )
        try:
            found = wait_until_ready(process, output)
            target = ["--raw", found[1]] if server.raw else ["--url", found[0]]
            yield Running(process.pid, target)
        finally:
            stop(process)


def run_program(build, name, server, options, cpu=None):
    """Runs load or idle against a running server and returns its JSON as a dict."""
    command = [os.path.join(build, "bench", name), *server.target, "--json"]
    command += [str(option) for option in options]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(cpu))
    if done.returncode != 0:
        raise Failed(f"{name}: {done.stderr.strip()}")
    return json.loads(done.stdout)
