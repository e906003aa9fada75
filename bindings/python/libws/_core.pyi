"""The extension module: what the Python layers of libws stand on.

Everything here runs on the thread that dispatches the loop, or on another one that holds the
GIL: a turn holds it from beginning to end, so calls never meet.  Names, units and error codes
are those of the C headers (include/libws).
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Final, final

from _typeshed import structseq
from typing_extensions import Buffer, Self, disjoint_base

__version__: Final[str]
build_info: Final[str]

_Data = str | Buffer

class Error(Exception):
    """A call of the C library failed.  `str()` of it is the detail text."""

    code: int  # one of ws_error, e.g. ERR_FULL; negative

ERR_INVALID: Final[int]
ERR_STATE: Final[int]
ERR_REENTRANT: Final[int]
ERR_UNSUPPORTED: Final[int]
ERR_NOMEM: Final[int]
ERR_CLOSED: Final[int]
ERR_FULL: Final[int]
ERR_TOO_BIG: Final[int]
ERR_TIMEOUT: Final[int]
ERR_CANCELLED: Final[int]
ERR_IO: Final[int]
ERR_DNS: Final[int]
ERR_CONNECT: Final[int]
ERR_EOF: Final[int]
ERR_ADDR: Final[int]
ERR_PROXY: Final[int]
ERR_TLS: Final[int]
ERR_TLS_CONFIG: Final[int]
ERR_TLS_VERIFY: Final[int]
ERR_HTTP: Final[int]
ERR_HTTP_STATUS: Final[int]
ERR_HANDSHAKE: Final[int]
ERR_PROTOCOL: Final[int]
ERR_UTF8: Final[int]
ERR_DEFLATE: Final[int]

OP_TEXT: Final = 1
OP_BINARY: Final = 2

CONNECTING: Final = 0
OPEN: Final = 1
CLOSING: Final = 2
CLOSED: Final = 3

@final
class Config:
    """ws_conn_config: keyword arguments are its members, with their units and defaults.

    None as a value means no limit (WS_NEVER, WS_UNLIMITED); a member that is left out has the
    library's default.  Raises Error (ERR_INVALID) for what is out of range, TypeError for an
    unknown name.  `deflate` and `deflate_recv` are "off", "shared" or "dedicated".
    """

    def __init__(
        self,
        *,
        no_auto_pong: bool = ...,
        handshake_timeout_ms: int | None = ...,
        idle_timeout_ms: int | None = ...,
        ping_interval_ms: int | None = ...,
        send_timeout_ms: int | None = ...,
        close_timeout_ms: int | None = ...,
        max_message_bytes: int | None = ...,
        max_header_bytes: int | None = ...,
        max_header_count: int | None = ...,
        max_fragments: int | None = ...,
        send_high_bytes: int | None = ...,
        send_low_bytes: int | None = ...,
        send_limit_bytes: int | None = ...,
        deflate: str = ...,
        deflate_recv: str = ...,
        deflate_level: int = ...,
        deflate_window_bits: int = ...,
        deflate_mem_level: int = ...,
        deflate_idle_ms: int = ...,
        deflate_min_bytes: int | None = ...,
    ) -> None: ...

@final
class TLS:
    """Certificates and TLS settings (ws_tls), immutable; share one among servers and clients.

    Arguments are the members of ws_tls_config; `verify` is "default", "require", "optional" or
    "none"; `min_version` is 0x0303 or 0x0304.  Raises Error (ERR_TLS_CONFIG), which names the
    file and OpenSSL's reason.
    """

    def __init__(
        self,
        *,
        cert_file: str | None = ...,
        key_file: str | None = ...,
        cert_pem: str | None = ...,
        key_pem: str | None = ...,
        key_password: str | None = ...,
        ca_file: str | None = ...,
        ca_pem: str | None = ...,
        verify: str = ...,
        min_version: int = ...,
        ciphers: str | None = ...,
        ciphersuites: str | None = ...,
        keylog_file: str | None = ...,
        no_tickets: bool = ...,
        partial_chain: bool = ...,
        no_name_check: bool = ...,
        kernel: bool = ...,
        alternatives: Sequence[TLS] = ...,
    ) -> None: ...
    @staticmethod
    def self_signed(host: str = "localhost") -> TLS:
        """A throw-away certificate for `host`, signed by itself, valid for 30 days."""
    @staticmethod
    def from_ssl_context(context: Any) -> TLS:
        """Use an ssl.SSLContext with everything that was loaded into it.

        Raises Error (ERR_UNSUPPORTED) when Python's ssl module has another OpenSSL than this
        module, or when the context has a callback of Python's (SNI, key log, messages).
        """
    @property
    def certificate(self) -> str:
        """Its own certificate in PEM, for a client to trust; "" if it has none."""

@final
class Message:
    """An immutable message that many connections can send (ws_message).

    It is framed once, and compressed once for each window and level among them.  It has the buffer
    protocol: memoryview(message) is its payload without a copy.
    """

    def __new__(
        cls, data: _Data, *, text: bool | None = None, compress: bool | int | None = None
    ) -> Self: ...
    @property
    def opcode(self) -> int: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    def __str__(self) -> str: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Loop:
    """ws_loop: one thread's connections behind one descriptor.

    `asyncio_loop`: the event loop whose tasks wait on connections; None for threads.
    `log(level, line)`: called for what the library has to say, level 1 (error) to 4 (debug).
    """

    def __new__(
        cls,
        asyncio_loop: Any = None,
        log: Callable[[int, str], None] | None = None,
        log_level: int = 0,
    ) -> Self: ...
    @property
    def asyncio_loop(self) -> Any: ...
    @property
    def connections(self) -> int:
        """How many connections (opening and closing ones included) it holds."""
    @property
    def closed(self) -> bool: ...
    def fileno(self) -> int: ...
    def dispatch(self) -> None:
        """Handle all that is ready, then run what waited for it.  Never blocks.

        KeyboardInterrupt and SystemExit of what it ran leave this call; other exceptions of
        callbacks go to sys.unraisablehook.
        """
    def wait(self, timeout: float | None = None) -> bool:
        """Wait without the GIL until dispatch has something to do; seconds.  False: timed out.

        Signal handlers of Python run, so Ctrl-C raises KeyboardInterrupt at once.
        """
    def wake(self) -> None:
        """Make wait return.  Thread: any."""
    def close(self) -> None:
        """ws_loop_free: abort everything; each connection gets its _on_close."""
    def stats(self) -> dict[str, int]: ...

@disjoint_base
class Connection:
    """A connection, from before its handshake to after its end.  Made for subclassing.

    Two ways to receive.  With a listener, its methods are called from the turn:
        on_open(connection), on_message(connection, message), on_close(connection),
        on_drain(connection), on_ping(connection, data), on_pong(connection, data)
    (on_message must be there, the others need not).  Without one, messages wait in a queue: reading
    pauses when more than max_queue[0] wait, until max_queue[1] are left; None: never.
    """

    def __init__(
        self,
        loop: Loop,
        listener: object | None = None,
        max_queue: tuple[int, int] | None = (16, 4),
    ) -> None: ...

    # Called by the module on the loop's thread; overridden by subclasses.  What they raise goes to
    # sys.unraisablehook.
    def _on_open(self) -> None: ...
    def _on_close(self) -> None: ...
    def _on_failed(self, error: int, detail: str, sys_errno: int, http_status: int) -> None:
        """The attempt of a client failed; instead of _on_open."""
    def _on_pong(self, data: bytes) -> None: ...
    def _closed_error(self) -> BaseException:
        """What recv and send raise when the connection is not open (any more)."""
    def _send_fragments(
        self, message: Any, text: bool | None, compress: Any
    ) -> Coroutine[Any, Any, None]:
        """send() of something that is neither str, bytes-like nor Message."""

    # For coroutines.  Only one may wait in recv, __anext__ or _recv_chunk: else ConcurrencyError
    # (libws.exceptions).  All may be cancelled at any await: no message is lost.
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Any]: ...
    def send(
        self, message: Any, text: bool | None = None, *, compress: bool | int | None = None
    ) -> Coroutine[Any, Any, None]:
        """Queue the message when it is awaited, and wait while more than the high mark is queued.

        `compress`: True, False, or a level 1 to 9, for this message.
        """
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, Any]: ...
    def _recv_chunk(self) -> Coroutine[Any, Any, tuple[int, bool, bool, bytes]]:
        """The next part: opcode, first, last, data.  Only after _set_chunks()."""
    def _wait_drained(self) -> Coroutine[Any, Any, None]:
        """Until the queue is at the low mark, or the connection has ended."""
    def _begin_fragments(self, compress: bool | int | None, /) -> None:
        """Other sends wait from now on until _end_fragments().  RuntimeError if already begun."""
    def _end_fragments(self) -> None: ...

    # Immediate.  Errors: Error; what _closed_error() returns when it is not open.
    def send_now(
        self,
        message: _Data | Message,
        text: bool | None = None,
        *,
        compress: bool | int | None = None,
    ) -> bool:
        """Queue the message.  True: slow down until on_drain (WS_BACKPRESSURE)."""
    def send_part(self, data: _Data, opcode: int, last: bool, /) -> bool:
        """One piece of a message (ws_conn_send_part)."""
    def ping_now(self, data: _Data = b"", /) -> None: ...
    def pong_now(self, data: _Data = b"", /) -> None: ...
    def close_now(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake (ws_conn_close); nothing happens if it has begun."""
    def abort(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def flush(self) -> None: ...
    def pop(self, decode: bool | None = None) -> Any:
        """The next message of the queue, or None if it is empty."""
    def pop_chunk(self) -> tuple[int, bool, bool, bytes] | None: ...
    def _set_chunks(self) -> None:
        """From the next message on queue parts as they arrive; recv joins them.  Stays so."""

    # Called at the end of a turn that brought a message, the end or room to send.
    notify: Callable[[], object] | None

    @property
    def loop(self) -> Loop: ...
    @property
    def _client(self) -> Client | None:
        """While a client opens or has it."""
    @property
    def state(self) -> int:
        """CONNECTING, OPEN, CLOSING or CLOSED."""
    @property
    def queued(self) -> int:
        """Messages (or parts) that wait for recv."""
    @property
    def buffered(self) -> int:
        """Bytes queued for sending, not yet written."""
    @property
    def fragmenting(self) -> bool:
        """True between _begin_fragments and _end_fragments."""
    @property
    def native_id(self) -> int: ...
    @property
    def native_subprotocol(self) -> str | None: ...
    @property
    def peer(self) -> str:
        """As ws_conn_peer: "192.0.2.7:50412", "[2001:db8::1]:443", "unix:"."""
    @property
    def local(self) -> str:
        """As ws_conn_local; stays after the end."""
    @property
    def close_info(self) -> tuple[int, int, int, bool, bool, str, str] | None:
        """How it ended, once CLOSED.

        Error, code received (1005: a Close without one; 1006: no Close), code sent (0: none),
        clean, by the peer, reason, detail.
        """
    def tls(self) -> dict[str, Any] | None: ...
    def deflate(self) -> dict[str, int]: ...
    def stats(self) -> dict[str, int]:
        """The members of ws_conn_stats; rtt_us is -1 before it is measured."""

@final
class Request:
    """A request that a server received; answer it once (ws_request)."""

    @property
    def is_upgrade(self) -> bool: ...
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str:
        """The path as sent, with the query."""
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def peer(self) -> str: ...
    @property
    def local(self) -> str: ...
    def accept(
        self,
        connection: Connection,
        subprotocol: str | None = None,
        headers: Iterable[tuple[str, str]] = ...,
        deflate: str | None = None,
    ) -> None:
        """Finish the upgrade; connection._on_open follows from a turn.  Errors: Error."""
    def respond(
        self, status: int, headers: Iterable[tuple[str, str]] = ..., body: bytes = b""
    ) -> None: ...

@final
class Listener:
    """A listening socket of a Server."""

    def close(self) -> None:
        """Accept no more; open connections go on."""
    def set_tls(self, tls: TLS | None) -> None: ...

@final
class Server:
    """ws_server: every well-formed HTTP request goes to on_request, whatever its Origin.

    A request that on_request neither answers nor keeps is refused with 500.
    """

    def __init__(
        self,
        loop: Loop,
        on_request: Callable[[Request], None],
        config: Config,
        *,
        max_connections: int | None = None,
    ) -> None: ...
    def listen(self, fd: int, tls: TLS | None = None) -> Listener:
        """Accept on a listening socket, whose descriptor it owns from now on."""
    def close(self) -> None:
        """Stop listening, abort all connections (ws_server_free)."""

@final
class Client:
    """ws_client: one attempt to open `connection`; _on_open or _on_failed follows from a turn.

    It holds itself while it is needed.  Errors: Error (ERR_INVALID: the URL...).
    """

    def __init__(
        self,
        connection: Connection,
        url: str,
        config: Config,
        *,
        headers: Iterable[tuple[str, str]] = ...,
        subprotocols: Sequence[str] = ...,
        tls: TLS | None = None,
        tls_name: str | None = None,
        proxy: str | None = None,
        proxy_env: bool = False,
        proxy_tls: TLS | None = None,
        connect_to: str | None = None,
        fd: int = -1,
        max_redirects: int = 0,
    ) -> None:
        """`fd`: a connected stream socket to use; it owns it once this succeeds."""
    @property
    def url(self) -> str: ...
    @property
    def response(self) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Status, fields and body (at most 64 KiB) of the last answer, if there was one."""
    def close(self) -> None:
        """Give up: nothing more is called, an open connection is aborted."""

@final
class RequestEvent(structseq[Any], tuple[bool, str, str, list[tuple[str, str]], list[str]]):
    """A server received a request: answer it with Engine.accept or Engine.respond."""

    __match_args__: Final = ("is_upgrade", "method", "target", "headers", "subprotocols")

    @property
    def is_upgrade(self) -> bool:
        """True: a WebSocket handshake; False: plain HTTP, which can only be answered."""
    @property
    def method(self) -> str:
        """ "GET" or "HEAD"."""
    @property
    def target(self) -> str:
        """The path as sent, with the query."""
    @property
    def headers(self) -> list[tuple[str, str]]:
        """As received; bytes above 0x7f are Latin-1."""
    @property
    def subprotocols(self) -> list[str]:
        """What the client offers, in its order of preference."""

@final
class OpenEvent(structseq[Any], tuple[str | None]):
    """The handshake is done."""

    __match_args__: Final = ("subprotocol",)

    @property
    def subprotocol(self) -> str | None: ...

@final
class MessageEvent(structseq[Any], tuple[Any, int, bool, bool]):
    """A message, or with chunks=True a part of one."""

    __match_args__: Final = ("data", "opcode", "first", "last")

    @property
    def data(self) -> Any:
        """str for text, bytes for binary; parts are always bytes."""
    @property
    def opcode(self) -> int: ...
    @property
    def first(self) -> bool: ...
    @property
    def last(self) -> bool: ...

@final
class PingEvent(structseq[Any], tuple[bytes]):
    """A ping; its pong is queued unless no_auto_pong."""

    __match_args__: Final = ("data",)

    @property
    def data(self) -> bytes: ...

@final
class PongEvent(structseq[Any], tuple[bytes]):
    """A pong, other than the answer to a keepalive ping."""

    __match_args__: Final = ("data",)

    @property
    def data(self) -> bytes: ...

@final
class ClosedEvent(structseq[Any], tuple[int, int, str, int, bool, bool, str, int]):
    """The connection has ended, or was never opened.  The last event."""

    __match_args__: Final = (
        "code", "sent_code", "reason", "error", "clean", "by_peer", "detail", "http_status"
    )

    @property
    def code(self) -> int:
        """Received; 1005: a Close without one; 1006: no Close frame."""
    @property
    def sent_code(self) -> int:
        """Sent; 1005: a Close without one; 0: none."""
    @property
    def reason(self) -> str: ...
    @property
    def error(self) -> int:
        """0 after a clean close, else one of ERR_*."""
    @property
    def clean(self) -> bool: ...
    @property
    def by_peer(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def http_status(self) -> int:
        """The status that refused the handshake, sent or received; else 0."""

_Event = RequestEvent | OpenEvent | MessageEvent | PingEvent | PongEvent | ClosedEvent

@final
class Engine:
    """ws_engine: the protocol without I/O; libws.core tells how to drive it.  Errors: Error."""

    @classmethod
    def server(cls, config: Config | None = None, *, chunks: bool = False) -> Engine:
        """The server's side of a connection.  Errors: Error (ERR_INVALID)."""
    @classmethod
    def client(
        cls,
        host: str,
        target: str = "/",
        *,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Iterable[str] = (),
        config: Config | None = None,
        chunks: bool = False,
    ) -> Engine:
        """The client's side; its request is in output() at once.  `host` is the Host field."""
    def feed(self, data: Buffer, /) -> None:
        """Give it bytes from the peer; all are taken.  Errors: ERR_STATE (events are left)."""
    def eof(self) -> None:
        """The peer will send no more."""
    def tick(self, now_ms: int, /) -> None:
        """Tell it the time, in ms of a monotonic clock, and let due timeouts act."""
    def events(self) -> Iterator[_Event]:
        """Iterate over what happened, taking it; ends when nothing is left."""
    def __iter__(self) -> Iterator[_Event]: ...
    def __next__(self) -> _Event: ...
    def output(self) -> bytes:
        """Take all that must be written; b"" when there is nothing."""
    def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        deflate: str | None = None,
    ) -> None:
        """Finish the upgrade.  Errors: ERR_STATE, ERR_INVALID."""
    def respond(
        self, status: int, headers: Iterable[tuple[str, str]] = (), body: _Data = b""
    ) -> None:
        """Send an HTTP response and close.  Errors: ERR_STATE, ERR_INVALID, ERR_TOO_BIG."""
    def send(
        self,
        message: _Data | Message,
        text: bool | None = None,
        *,
        compress: bool | int | None = None,
    ) -> bool:
        """Queue a message.  True: more than send_high_bytes is queued.

        Errors: ERR_CLOSED, ERR_FULL, ERR_STATE, ERR_UTF8.
        """
    def begin_parts(self, compress: bool | int | None = None) -> None:
        """How the message that the next send_part begins is compressed."""
    def send_part(self, data: _Data, opcode: int, last: bool) -> bool:
        """Queue one piece of a message of unknown length.  Returns and errors: as send."""
    def ping(self, data: _Data = b"") -> None:
        """Queue a ping of at most 125 bytes."""
    def pong(self, data: _Data = b"") -> None:
        """Queue a pong of at most 125 bytes."""
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; code 0: without a code.  Errors: ERR_CLOSED, ERR_INVALID."""
    def response_header(self, name: str, /) -> str | None:
        """A field of the response that a client received, or None; repeated ones are joined."""
    def deflate(self) -> dict[str, int]:
        """The compression agreed on and what it has brought (ws_deflate_info)."""
    @property
    def deadline(self) -> int | None:
        """When to tick at the latest, in ms; None: never."""
    @property
    def want_read(self) -> bool:
        """Go on reading."""
    @property
    def want_write(self) -> bool:
        """output() has something."""
    @property
    def want_eof(self) -> bool:
        """All is written: shut down the writing side, go on reading."""
    @property
    def want_close(self) -> bool:
        """Close the transport."""
    @property
    def buffered(self) -> int:
        """Bytes that output() would give."""
    @property
    def subprotocol(self) -> str | None:
        """The one agreed on, or None."""
    @property
    def response_body(self) -> bytes:
        """Body of the response that refused the handshake, at most 64 KiB."""

def broadcast(
    connections: Iterable[Connection], message: Message, /
) -> list[tuple[Connection, str]]:
    """Send to all that are open; who was skipped, and why.

    Skipped with a reason: those in the middle of a message sent in parts, and those that have more
    than 16 MiB queued.  Those that are not open are passed over in silence.
    """

def after_fork() -> None:
    """In the child: forget every loop; their connections are CLOSED, nothing is sent."""
