"""The servers that are compared, and running one of them or a load program.

bench/run and bench/instructions share this file, so a peer added to SERVERS is known to both;
bench/python/run has its own servers and runs them with it too.
"""

import contextlib
import dataclasses
import functools
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
READY = re.compile(r"wss?://\S+|listening on (\d\S*:\d+)")


@dataclasses.dataclass
class Server:
    """How to start a server.

    {build} and {port} are filled in; the command is looked up in PATH when it is a bare word.
    It is ready once it has printed its ws:// URL or `listening on HOST:PORT`.  One that speaks
    TLS names the same server without it, and also has {cert} and {key} filled in; one that
    compresses names the same server without that, and has {mode} (shared or dedicated, with a
    window of 12 bits and memory level 5) and {level} filled in.
    """

    command: list
    raw: bool = False  # echoes bytes, knows no WebSocket
    broadcasts: bool = False  # sends each message to all others, and is no echo server
    plain: str = ""  # not empty: this one speaks TLS
    inflated: str = ""  # not empty: this one compresses
    needs: list = dataclasses.field(default_factory=list)  # Python modules


LIBWS = ["{build}/cli/ws", "serve", "--echo", "--listen", "127.0.0.1:{port}", "--quiet"]
WEBSOCKETS = [sys.executable, os.path.join(HERE, "peers", "websockets_echo.py"), "{port}"]
TLS = ["--tls-cert", "{cert}", "--tls-key", "{key}"]
DEFLATE = ["--deflate", "{mode}", "--deflate-level", "{level}"]
FLOOR_DEFLATE = ["{build}/bench/floor_deflate", "--port", "{port}"]
FLOOR_TLS = ["{build}/bench/floor_tls", "--port", "{port}", *TLS]

SERVERS = {
    "floor": Server(["{build}/bench/floor", "--port", "{port}"], raw=True),
    "floor_tls": Server(FLOOR_TLS, raw=True, plain="floor"),
    "floor_tls_bio": Server([*FLOOR_TLS, "--own-bio"], raw=True, plain="floor"),
    "floor_deflate": Server(
        [*FLOOR_DEFLATE, "--mode", "{mode}", "--level", "{level}"], raw=True, inflated="floor"
    ),
    "floor_fanout": Server(["{build}/bench/floor_fanout", "--port", "{port}"], broadcasts=True),
    "floor_fanout_gather": Server(
        ["{build}/bench/floor_fanout", "--port", "{port}", "--gather"], broadcasts=True
    ),
    "libws": Server(LIBWS),
    "libws_broadcast": Server(
        [*(w.replace("--echo", "--broadcast") for w in LIBWS), "--deflate", "off"], broadcasts=True
    ),
    "libws_tls": Server([*LIBWS, *TLS], plain="libws"),
    "libws_deflate": Server([*LIBWS, *DEFLATE], inflated="libws"),
    "websockets": Server(WEBSOCKETS, needs=["websockets"]),
    "websockets_deflate": Server(
        [*WEBSOCKETS, "{mode}", "{level}"], inflated="websockets", needs=["websockets"]
    ),
    "websockets_tls": Server(
        [*WEBSOCKETS, "{cert}", "{key}"], plain="websockets", needs=["websockets"]
    ),
}
ECHO_SERVERS = [name for name, server in SERVERS.items() if not server.broadcasts]


def with_tls(name):
    """The name of the same server with TLS, or None when there is no such entry."""
    if SERVERS[name].plain:
        return name
    return next((other for other, server in SERVERS.items() if server.plain == name), None)


def secured(names):
    """Each of them with TLS, once, without those that have no such entry."""
    return list(dict.fromkeys(filter(None, map(with_tls, names))))


def compressing(names):
    """The forms of these servers that compress, of those that have one."""
    forms = {server.inflated: name for name, server in SERVERS.items() if server.inflated}
    found = [name if SERVERS[name].inflated else forms.get(name) for name in names]
    return list(dict.fromkeys(filter(None, found)))


class NotRun(Exception):
    """A server that is not there or does not start: to be reported, not to stop for."""


class Failed(Exception):
    """A server that ran and did wrong, or a load program that could not measure it."""


def explained(reason):
    """What the table says about a server that has no figures."""
    return f"{'not run' if isinstance(reason, NotRun) else 'failed'}: {reason}"


@dataclasses.dataclass
class Deflate:
    """How a server that compresses is to do it."""

    mode: str  # shared or dedicated
    level: int


@dataclasses.dataclass
class Running:
    pid: int
    target: list  # the options that point the programs to it


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


@functools.cache
def certificate_folder():
    """A folder with cert.pem and key.pem (EC P-256), there as long as this program runs."""
    if shutil.which("openssl") is None:
        raise NotRun("no program openssl, which makes the certificate")
    folder = tempfile.TemporaryDirectory()
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    command += " -keyout key.pem -out cert.pem"
    made = subprocess.run(command.split(), cwd=folder.name, capture_output=True, text=True)
    if made.returncode != 0:
        raise NotRun(f"openssl: {reason_in(made.stderr)}")
    return folder


def command_of(server, build, port, deflate):
    for module in server.needs:
        if subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode:
            raise NotRun(f"no Python module {module}")
    values = {"build": build, "port": port}
    if server.inflated:
        values["mode"], values["level"] = deflate.mode, deflate.level
    if server.plain:
        folder = certificate_folder().name
        values["cert"] = os.path.join(folder, "cert.pem")
        values["key"] = os.path.join(folder, "key.pem")
    command = [word.format(**values) for word in server.command]
    if shutil.which(command[0]) is None:
        raise NotRun(f"no program {command[0]}")
    return command


def reason_in(printed):
    """The line that says what is wrong: of a Python or Node trace its error, else the first."""
    lines = printed.strip().splitlines() or [""]
    return next((line for line in lines if re.match(r"\w*Error\b", line)), lines[0])


def ending(status):
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


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
            raise NotRun(reason_in(printed) or ending(process.returncode))
        if time.monotonic() > end:
            raise NotRun(f"no address in {START_S} s; printed {reason_in(printed)!r}")
        time.sleep(0.01)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(server, build, cpu=None, prefix=(), deflate=None):
    """Starts the server, under `prefix` (valgrind) if given, and stops it again.

    Its output goes to a file and not to a pipe: a chatty peer must not block on us.
    """
    command = [*prefix, *command_of(server, build, free_port(), deflate)]
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=pin(cpu),
            )
        except OSError as error:  # a program of another machine, a script without its first line
            raise NotRun(f"{command[0]}: {error.strerror}") from None
        try:
            found = wait_until_ready(process, output)
            url = found[0] if found[1] is None else f"ws://{found[1]}/"
            target = ["--raw", found[1]] if server.raw else ["--url", url]
            target += ["--tls"] if server.plain else []
            target += ["--deflate", deflate.mode] if server.inflated else []
            yield Running(process.pid, target)
        finally:
            stop(process)


def run_program(build, name, server, options, cpu=None):
    """Runs load, idle or handshake against a running server and returns its JSON as a dict."""
    command = [os.path.join(build, "bench", name), *server.target, "--json"]
    command += [str(option) for option in options]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(cpu))
    if done.returncode != 0:
        raise Failed(f"{name}: {reason_in(done.stderr) or ending(done.returncode)}")
    return json.loads(done.stdout)
