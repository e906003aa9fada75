"""The command line: `python -m libws [connect] URI`, `ping URI`, `serve [HOST:PORT]`.

What the C tool `ws` does, for where only the Python package is; options that both have mean the
same, and so do exit statuses.
"""

from __future__ import annotations

import argparse
import base64
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sync.client import ClientConnection

DONE, FAILED, USAGE, TLS, REFUSED, LOST, NO_MESSAGE = range(7)

_COMMANDS = ("connect", "ping", "serve")
_STATUSES = """\
exit status: 0 closed cleanly, 1 could not connect, 2 wrong usage or input, 3 TLS failed,
4 handshake refused, 5 connection lost or closed with an error, 6 --one and no message came"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if argv and argv[0] not in _COMMANDS and argv[0] not in ("-h", "--help", "-V", "--version"):
        argv.insert(0, "connect")
    options = _parser().parse_args(argv)
    if options.command is None:
        _parser().print_help()
        return USAGE
    try:
        return int(options.run(options))
    except KeyboardInterrupt:  # which is how `serve` and `ping` are ended
        return DONE


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="python -m libws",
        description="WebSocket from the command line. A URI alone stands for `connect URI`.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"libws {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _connect_options(commands)
    _ping_options(commands)
    serve = commands.add_parser("serve", help="send every message back, for tests")
    serve.add_argument("address", nargs="?", default="127.0.0.1:9001", metavar="HOST:PORT")
    serve.set_defaults(run=_serve)
    return parser


def _connect_options(commands: Any) -> None:
    parser = commands.add_parser(
        "connect",
        help="type lines, see messages",
        description="Each line of standard input is sent as a text message; each message that "
        "comes is printed as a line. Ctrl-C closes the connection politely.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    messages = parser.add_argument_group("messages")
    form = messages.add_mutually_exclusive_group()
    form.add_argument(
        "--binary", action="store_true", help="send what is read as binary messages, print bytes"
    )
    form.add_argument(
        "--hex", action="store_true", help="send lines of hexadecimal digits as binary"
    )
    messages.add_argument("--one", action="store_true", help="exit after the first message")
    messages.add_argument("--timestamps", action="store_true", help="print the time (UTC) before")
    messages.add_argument(
        "--max-message", type=_bytes, default=2**24, metavar="BYTES", help="longest to take [16M]"
    )
    messages.add_argument(
        "--linger",
        type=_linger,
        default=...,
        metavar="SECONDS",
        help="after the end of the input, close when nothing came for so long "
        "[1; 30 with --one]; 'never' waits for the server",
    )
    _client_options(parser)
    parser.set_defaults(run=_connect)


def _ping_options(commands: Any) -> None:
    parser = commands.add_parser("ping", help="send pings, print how long each pong took")
    parser.add_argument("-c", "--count", type=int, metavar="N", help="stop after N pings")
    parser.add_argument(
        "-i", "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="[1]"
    )
    parser.add_argument(
        "-W", "--wait", type=_seconds, default=5.0, metavar="SECONDS", help="for a pong [5]"
    )
    _client_options(parser)
    parser.set_defaults(run=_ping)


def _client_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("uri", metavar="URI", help="ws://HOST[:PORT]/PATH or wss://...")
    add("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", type=_header)
    add("--subprotocol", action="append", metavar="NAME", help="offer it, the preferred one first")
    add("--origin", help="say that a page of ORIGIN connects")
    add("-u", "--user", metavar="USER:PASSWORD", help="send Basic authorization")
    deflate = parser.add_mutually_exclusive_group()
    deflate.add_argument(
        "--compress", action="store_true", help="compress harder: messages refer to earlier ones"
    )
    deflate.add_argument("--no-compress", action="store_true", help="no permessage-deflate")
    add("--ping", type=_seconds, default=20.0, metavar="SECONDS", help="0 = never [20]")
    add("--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="0 = never [10]")
    add("--cacert", metavar="FILE", help="trust these CAs (PEM), not the system's")
    add("--cert", metavar="FILE", help="show this certificate (PEM, with its chain)")
    add("--key", metavar="FILE", help="its private key [in the file of --cert]")
    add("--tls-name", metavar="NAME", help="the name to ask for and verify [the URI's host]")
    add("-k", "--insecure", action="store_true", help="take any certificate: for tests only")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--proxy", metavar="URL", help="go through this proxy")
    way.add_argument("--no-proxy", action="store_true", help="no proxy, whatever https_proxy says")
    add("--connect-to", metavar="HOST:PORT", type=_address, help="dial this instead")
    add("-v", "--verbose", action="store_true", help="show the opening handshake")


def _seconds(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise ValueError(text)
    return value


def _linger(text: str) -> float | None:
    return None if text == "never" else _seconds(text)


def _bytes(text: str) -> int:
    scale = {"K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1:], 1)
    value = int(text[:-1] if scale > 1 else text) * scale
    if value < 1:
        raise ValueError(text)
    return value


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not 'NAME: VALUE'")
    return name.strip(), value.strip()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


# Connecting.


def _open(options: argparse.Namespace, **more: Any) -> ClientConnection:
    from .sync.client import connect

    headers = list(options.header)
    if options.user is not None:
        token = base64.b64encode(options.user.encode()).decode()
        headers.append(("Authorization", f"Basic {token}"))
    compression = "dedicated" if options.compress else "deflate"
    if options.connect_to is not None:
        more["address"] = options.connect_to
    return connect(
        options.uri,
        ssl=_tls(options),
        server_hostname=options.tls_name,
        origin=options.origin,
        subprotocols=options.subprotocol,
        compression=None if options.no_compress else compression,
        additional_headers=headers,
        proxy=None if options.no_proxy else options.proxy or True,
        open_timeout=options.timeout or None,
        ping_interval=options.ping or None,
        ping_timeout=options.ping or None,
        **more,
    )


def _tls(options: argparse.Namespace) -> Any:
    wanted = {
        "ca_file": options.cacert,
        "cert_file": options.cert,
        "key_file": options.key or options.cert,
        "verify": "none" if options.insecure else None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    if not given or not options.uri.lower().startswith("wss"):
        return None
    from . import TLS as Settings

    return Settings(**given)


def _failure(command: str, error: Exception) -> int:
    """Say why there is no connection; the exit status for it."""
    from .exceptions import InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI, ProxyError

    ssl = sys.modules.get("ssl")
    status = FAILED
    text = str(error) or type(error).__name__
    if isinstance(error, (InvalidURI, InvalidProxy, TypeError)) or type(error) is ValueError:
        status = USAGE
    elif ssl is not None and isinstance(error, ssl.SSLError):
        status, text = TLS, error.args[-1]
    elif _is_tls_config(error):
        status = TLS
    elif isinstance(error, InvalidHandshake) and not isinstance(error, ProxyError):
        status = REFUSED
    _complain(f"{command}: cannot connect: {text}")
    if isinstance(error, InvalidStatus) and error.response.body:
        _complain(error.response.body[:2000].decode("utf-8", "replace").rstrip())
    return status


def _is_tls_config(error: Exception) -> bool:
    from . import _core

    return isinstance(error, _core.Error) and error.code == _core.ERR_TLS_CONFIG


def _complain(text: str) -> None:
    from ._terminal import printable

    print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)


# connect


class _Over(Exception):
    """The main thread has nothing more to read."""


class _Talk:
    """A running `connect`: the main thread reads and sends, another one receives and shows."""

    def __init__(self, options: argparse.Namespace, connection: ClientConnection) -> None:
        from ._terminal import Terminal

        self.options = options
        self.connection = connection
        self.terminal = Terminal(timestamps=options.timestamps)
        self.over = threading.Event()  # the receiver has ended
        self.reading = False  # the main thread is where it may be interrupted
        self.stopped = False  # by a signal, or by a reader who had enough
        self.got_one = False
        self.status = DONE
        self.last_input = 0.0  # when a message came

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_over)
        if self.terminal.interactive:
            protocol = self.connection.subprotocol
            chosen = f", {protocol}" if protocol else ""
            self.terminal.note(f"connected to {self.options.uri}{chosen}; Ctrl-D ends")
        receiver = threading.Thread(target=self._receive, name="receiver", daemon=True)
        receiver.start()
        by_us = False
        try:
            try:
                self._read_until_over()
            except _Over:
                pass
            self.reading = False
            by_us = not self.over.is_set()
            self.connection.close()
        except KeyboardInterrupt:  # the second one
            self.connection.abort()
        self.over.wait()
        return self._finish(by_us)

    # The main thread.

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True
        if self.reading:
            raise _Over

    def _on_over(self, number: int, frame: FrameType | None) -> None:
        if self.reading:
            raise _Over

    def _read_until_over(self) -> None:
        self.reading = True
        if not self.over.is_set() and not self.stopped:
            self._send_input()
            self._linger()

    def _send_input(self) -> None:
        from .exceptions import ConnectionClosed

        number = 0
        try:
            if self.options.binary:
                for data in self.terminal.chunks():
                    self.connection.send(data)
                return
            for line in self.terminal.lines():
                number += 1
                if not self._send_line(line, number):
                    return
        except ConnectionClosed:
            self.over.wait()  # the receiver tells
        except OSError as error:
            self.terminal.note(f"connect: cannot read standard input: {error}")
            self.status = FAILED

    def _send_line(self, line: bytes, number: int) -> bool:
        try:
            if self.options.hex:
                self.connection.send(bytes.fromhex(line.decode("ascii")))
            else:
                self.connection.send(line.decode())
            return True
        except ValueError:  # UnicodeDecodeError is one
            wrong = "not hexadecimal digits" if self.options.hex else "the text is not UTF-8"
        if self.terminal.interactive:
            self.terminal.note(f"not sent: {wrong}")
            return True
        # A script must not go on with a part missing.
        self.terminal.note(f"connect: standard input, line {number}: {wrong}")
        self.status = USAGE
        return False

    def _linger(self) -> None:
        """Until the server has read everything and was silent for --linger."""
        seconds = self.options.linger
        if seconds is ...:
            seconds = 30.0 if self.options.one else 1.0
        if self.status != DONE:
            return
        if seconds is None:
            self.over.wait()
            return
        from .exceptions import ConnectionClosed

        try:
            self.connection.ping(ack_on_close=True).wait()
        except ConnectionClosed:
            pass
        self.last_input = max(self.last_input, time.monotonic())
        while (left := self.last_input + seconds - time.monotonic()) > 0:
            if self.over.wait(left):
                return

    # The thread that receives.

    def _receive(self) -> None:
        from .exceptions import ConnectionClosed

        options = self.options
        try:
            while not (options.one and self.got_one):
                message = self.connection.recv()
                self.got_one = True
                self.last_input = time.monotonic()
                self.terminal.message(message, whole=options.hex, raw=options.binary)
        except ConnectionClosed:
            pass
        except BrokenPipeError:
            self.stopped = True  # whoever read our output had enough, which is no failure
        except OSError as error:
            self.terminal.note(f"connect: cannot write to standard output: {error}")
            self.status = FAILED
        finally:
            self.over.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _finish(self, by_us: bool) -> int:
        status = self.status
        if status != DONE or (self.options.one and self.got_one):
            return status
        if not self.stopped:
            status = self._judge(by_us)
        if status == DONE and self.options.one:
            self.terminal.note("connect: no message came")
            status = NO_MESSAGE
        return status

    def _judge(self, by_us: bool) -> int:
        """What the end of the connection is worth, and a word about it if it was not ours."""
        from . import _core

        info = self.connection.close_info
        if info is None:
            return DONE
        error, code, _, _, _, reason, detail = info
        if by_us:
            # Many servers end the stream, or reset it, instead of answering our Close.
            lost = error not in (0, _core.ERR_EOF, _core.ERR_IO)
        else:
            lost = error != 0
        if lost:
            self.terminal.note(f"connect: connection lost: {detail}")
            return LOST
        if by_us or code in (1000, 1001, 1005):
            if not by_us and self.terminal.interactive:
                self.terminal.note(f"closed by the server with code {code}")
            return DONE
        self.terminal.note(f'connect: closed by the server with code {code} "{reason}"')
        return LOST


def _connect(options: argparse.Namespace) -> int:
    try:
        connection = _open(options, max_size=options.max_message)
    except Exception as error:
        return _failure("connect", error)
    if options.verbose:
        _show_handshake(connection)
    return _Talk(options, connection).run()


_SECRET = ("authorization", "proxy-authorization", "cookie", "set-cookie")


def _show_handshake(connection: ClientConnection) -> None:
    request, response = connection.request, connection.response
    lines = [f"* connected to {connection.remote_address}, from {connection.local_address}"]
    tls = connection.tls()
    if tls is not None:
        lines.append(f"* {tls['version']}, {tls['cipher']}")
    if request is not None:
        lines.append(f"> GET {request.path} HTTP/1.1")
        lines += [f"> {name}: {_public(name, v)}" for name, v in request.headers.raw_items()]
    if response is not None:
        lines.append(f"< HTTP/1.1 {response.status_code} {response.reason_phrase}")
        lines += [f"< {name}: {_public(name, v)}" for name, v in response.headers.raw_items()]
    for line in lines:
        _complain(line)


def _public(name: str, value: str) -> str:
    return "(not shown)" if name.lower() in _SECRET else value


# ping and serve


def _ping(options: argparse.Namespace) -> int:
    from .exceptions import ConnectionClosed

    try:
        connection = _open(options)
    except Exception as error:
        return _failure("ping", error)
    number = 0
    with connection:
        try:
            while options.count is None or number < options.count:
                if number > 0 and connection.wait_closed(options.interval):
                    break
                number += 1
                pong = connection.ping(ack_on_close=True)
                if not pong.wait(options.wait):
                    _complain(f"ping: no pong within {options.wait:g} s")
                    return LOST
                if pong.latency is None:
                    break
                print(f"pong {number}: {pong.latency * 1000:.3f} ms", flush=True)
            else:
                return DONE
        except ConnectionClosed:
            pass
    _complain(f"ping: connection lost: {connection._closed_error()}")
    return LOST


def _serve(options: argparse.Namespace) -> int:
    from .sync.server import ServerConnection, serve

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    try:
        host, port = _address(options.address)
        server = serve(echo, host, port, max_size=2**24)
    except (argparse.ArgumentTypeError, OSError) as error:
        _complain(f"serve: {error}")
        return FAILED if isinstance(error, OSError) else USAGE
    with server:
        where = server.socket.getsockname()
        print(f"listening on ws://{where[0]}:{where[1]}/", flush=True)
        server.serve_forever()
    return DONE
