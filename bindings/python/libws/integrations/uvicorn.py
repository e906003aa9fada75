"""WebSockets for uvicorn: `uvicorn --ws libws.integrations.uvicorn:WebSocketProtocol app:app`.

ASGI applications (FastAPI, Starlette...) run unchanged.  uvicorn's settings mean what they say:
`ws_max_size`, `ws_max_queue`, `ws_ping_interval`, `ws_ping_timeout`, `ws_per_message_deflate`,
`timeout_graceful_shutdown`.  Where this differs from uvicorn's own classes:

- Any byte of the peer counts as a sign of life, not only the answer to a ping.
- Up to `ws_max_queue` messages wait for the application; pings are answered meanwhile.
- An application that returns without `websocket.close` closes with 1000, one that raises
  with 1011.
- `websocket.disconnect` has the code that was received; if none was, the one that was sent to a
  peer that broke a rule (1002, 1007, 1009); else 1006.  Every later `receive` gives it again.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import sys
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)

from libws._core import (
    ERR_CLOSED,
    ClosedEvent,
    Config,
    Engine,
    Error,
    MessageEvent,
    RequestEvent,
)

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

__all__ = ["WebSocketProtocol"]

# What may wait for the application, besides the number of messages; one more may exceed it.
_QUEUE_BYTES = 1 << 20

# More than this is written at once, even when the application is about to send more.
_BATCH_BYTES = 64 << 10

# The streams of an engine that compresses take up to 400 KiB, and here there is one for each
# connection: those that rest give them back soon.
_DEFLATE_IDLE_MS = 1000

_RESPONSE_BYTES = 16 << 20  # the most that ws_request_respond takes

# Fields of a response that the engine writes itself.
_OWN_FIELDS = frozenset(
    ["connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"]
)

_Headers = Iterable[tuple[bytes, bytes]]
_Message = dict[str, Any]


class _Phase(enum.Enum):
    """What the application has done so far, and whether there still is a peer."""

    CONNECTING = enum.auto()  # -> OPEN by accept, REFUSING by http.response.start, CLOSED by close
    REFUSING = enum.auto()  # the body is being collected -> CLOSED
    OPEN = enum.auto()  # -> CLOSED by close, GONE by the peer
    CLOSED = enum.auto()  # the application's last word is said
    GONE = enum.auto()  # the peer's is


def _milliseconds(seconds: float) -> int:
    """As a member of Config, where 0 would mean the default."""
    return max(1, round(seconds * 1000))


def _engine_config(config: uvicorn.Config) -> Config:
    """uvicorn's settings as those of an engine.

    The handshake has no timeout: the request is here already, and how long the application
    takes to answer is its own affair.  The send queue has no limit: the transport's marks hold
    back who sends.
    """
    ping_ms = idle_ms = None
    if config.ws_ping_interval:
        ping_ms = _milliseconds(config.ws_ping_interval)
        if config.ws_ping_timeout is not None:
            idle_ms = ping_ms + _milliseconds(config.ws_ping_timeout)
    return Config(
        handshake_timeout_ms=None,
        idle_timeout_ms=idle_ms,
        ping_interval_ms=ping_ms,
        max_message_bytes=None if config.ws_max_size is None else max(1, config.ws_max_size),
        send_high_bytes=_BATCH_BYTES,
        send_low_bytes=_BATCH_BYTES // 4,
        send_limit_bytes=None,
        deflate="shared" if config.ws_per_message_deflate else "off",
        deflate_idle_ms=_DEFLATE_IDLE_MS,
    )


class WebSocketProtocol(asyncio.Protocol):
    """One connection: uvicorn's transport, an engine, and the task of the application.

    The engine is pulled: while the application's queue is full, events stay in it and reading is
    paused, so that neither many messages nor a few that decompress to much fill the memory.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.app = config.loaded_app
        self.app_state = app_state
        self.loop = _loop or asyncio.get_running_loop()
        self.logger = logging.getLogger("uvicorn.error")
        self.connections = cast("set[Any]", server_state.connections)
        self.tasks = server_state.tasks
        self.default_headers = server_state.default_headers

        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.scope: dict[str, Any] = {}

        self._engine = Engine.server(_engine_config(config))
        self._phase = _Phase.CONNECTING
        self._task: asyncio.Task[None] | None = None
        self._refusal: tuple[int, list[tuple[str, str]], bytearray] = (0, [], bytearray())

        self._queue: deque[_Message] = deque()
        self._queue_limit = config.ws_max_queue or sys.maxsize
        self._queued_bytes = 0
        self._disconnect: _Message | None = None  # what receive gives once the queue is empty
        self._arrived = asyncio.Event()

        self._held = False  # reading is paused
        self._held_at = 0.0
        self._time_held = 0.0  # does not count: that silence is our own
        self._backlog: list[bytes] = []  # TLS may deliver a little more than was asked for

        self._ending = False  # the engine may want the transport to be closed
        self._eof_sent = False
        self._flush_later = False
        self._writing_paused = False
        self._writable = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    # ---- called by the transport and the server ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connections.add(self)
        self.transport = cast(asyncio.Transport, transport)
        self.scope["server"] = get_local_addr(self.transport)
        self.scope["client"] = get_remote_addr(self.transport)
        self.scope["scheme"] = "wss" if is_ssl(self.transport) else "ws"
        self._trace("WebSocket connection made")
        self._engine.tick(self._now())

    def data_received(self, data: bytes) -> None:
        if self._held:
            self._backlog.append(data)
            return
        self._engine.tick(self._now())
        self._engine.feed(data)
        self._pump()
        if self._timer is None:
            self._set_timer()

    def eof_received(self) -> None:
        self._engine.eof()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._trace("WebSocket connection lost")
        self.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._writing_paused = False
        self._writable.set()
        self._engine.eof()
        if not (self._held and self._queue):
            self._go_on()

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._writable.set()
        self._flush()

    def shutdown(self) -> None:
        """The server stops: say 1012 (service restart), or 503 to who is not accepted yet."""
        if self._task is None:
            self.transport.close()
        elif self._phase is _Phase.OPEN:
            self._close(1012, "", _Phase.GONE)
        elif self._phase in (_Phase.CONNECTING, _Phase.REFUSING):
            self._respond(503, [], b"Service Unavailable", _Phase.GONE)

    # ---- from the engine to the queue ----

    def _pump(self) -> None:
        """Take events until there are no more, or the queue is full; then write."""
        queue = self._queue
        for event in self._engine:
            if type(event) is MessageEvent:
                data = event.data
                kind = "text" if type(data) is str else "bytes"
                queue.append({"type": "websocket.receive", kind: data})
                self._queued_bytes += len(data)
                self._arrived.set()
                if len(queue) >= self._queue_limit or self._queued_bytes >= _QUEUE_BYTES:
                    self._hold()
                    break
            elif type(event) is RequestEvent:
                self._on_request(event)
            elif type(event) is ClosedEvent:
                self._on_closed(event)
        if self._phase is _Phase.CONNECTING and not self._engine.want_read:
            self._hold()  # the client sends without waiting for the answer
        self._flush()

    def _hold(self) -> None:
        if self._held or self._ending:
            return
        self._held = True
        self._held_at = self.loop.time()
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _let_go(self) -> None:
        """The engine's clock runs again."""
        if self._held:
            self._held = False
            self._time_held += self.loop.time() - self._held_at
        self._engine.tick(self._now())

    def _go_on(self) -> None:
        """Go on where _hold stopped: with the engine's events, the backlog, the transport."""
        if not self._held:
            self._pump()
            return
        self._let_go()
        self._resume()

    def _resume(self) -> None:
        self._pump()
        if self._backlog and not self._held:
            data = b"".join(self._backlog)
            self._backlog.clear()
            self._engine.feed(data)
            self._pump()
        if not self._held and not self.transport.is_closing():
            self.transport.resume_reading()
            self._set_timer()

    def _on_request(self, event: RequestEvent) -> None:
        if not event.is_upgrade:
            self._respond(400, [], b"This is for WebSocket handshakes.")
            return
        root_path = self.config.root_path
        raw_path, _, query = event.target.partition("?")
        self.scope.update(
            type="websocket",
            asgi={"version": self.config.asgi_version, "spec_version": "2.4"},
            http_version="1.1",
            root_path=root_path,
            path=root_path + unquote(raw_path),
            raw_path=root_path.encode("ascii") + raw_path.encode("latin-1"),
            query_string=query.encode("latin-1"),
            headers=[
                (name.lower().encode("ascii"), value.encode("latin-1"))
                for name, value in event.headers
            ],
            subprotocols=event.subprotocols,
            state=self.app_state.copy(),
            extensions={"websocket.http.response": {}},
        )
        self._queue.append({"type": "websocket.connect"})
        self._task = self.loop.create_task(self._run())
        self.tasks.add(self._task)
        self._task.add_done_callback(self.tasks.discard)

    def _on_closed(self, event: ClosedEvent) -> None:
        if self._task is None:
            self._log("handshake refused, %d: %s", event.http_status, event.detail)
        code, reason = event.code, event.reason
        if code == 1006 and event.sent_code != 0:
            code, reason = event.sent_code, event.detail
        self._end(_Phase.GONE, code, reason)

    def _end(self, phase: _Phase, code: int, reason: str) -> None:
        """The application shall hear of it, whether it waits to receive or to send."""
        self._ending = True
        if self._phase is not _Phase.CLOSED:
            self._phase = phase
        if self._disconnect is None:
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._arrived.set()
        self._writable.set()

    # ---- from the engine to the transport ----

    def _flush(self) -> None:
        """Write what the engine has, unless the transport has enough."""
        self._flush_later = False
        if not self._writing_paused:
            output = self._engine.output()
            if output and not self.transport.is_closing():
                self.transport.write(output)
        if self._ending:
            self._close_transport()

    def _close_transport(self) -> None:
        """Follow the engine to the end: half-close, wait for the peer, close."""
        if self.transport.is_closing():
            return
        if self._engine.want_close:
            self.transport.close()
        elif self._engine.want_eof and not self._eof_sent:
            self._eof_sent = True
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:  # TLS knows no half-close here
                self.transport.close()
        self._set_timer()

    # ---- time ----

    def _now(self) -> int:
        """The engine's time, which stands still while reading is paused."""
        return int((self.loop.time() - self._time_held) * 1000)

    def _set_timer(self) -> None:
        """Be called when the engine's deadline has come, or before: then it is looked at again."""
        deadline = self._engine.deadline
        if deadline is None or self.transport.is_closing():
            return
        # One more: _now() rounds down.
        when = (deadline + 1) / 1000 + self._time_held
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._held:
            return
        self._engine.tick(self._now())
        self._pump()
        if self._engine.want_close:
            self.transport.abort()  # what is written may never leave
        self._set_timer()

    # ---- the application ----

    async def _run(self) -> None:
        code = 1011
        try:
            result = await self.app(self.scope, self.receive, self.send)
            code = 1000
            if self._phase in (_Phase.CONNECTING, _Phase.REFUSING):
                self.logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                self.logger.error("ASGI callable should return None, but returned '%s'.", result)
        except ClientDisconnected:
            pass
        except Exception:
            self.logger.exception("Exception in ASGI application\n")
        except BaseException:
            code = 1012
            raise
        finally:
            self._leave(code)

    def _leave(self, code: int) -> None:
        """The application is done; whatever it left open is ended for it."""
        if self._phase is _Phase.OPEN:
            self._close(code, "")
        elif self._phase in (_Phase.CONNECTING, _Phase.REFUSING):
            self._respond(500, [], b"Internal Server Error")
        self._queue.clear()
        self._go_on()

    async def receive(self) -> _Message:
        """ASGI: the next event; waits for it."""
        queue = self._queue
        while not queue:
            if self._disconnect is not None:
                return self._disconnect
            self._arrived.clear()
            await self._arrived.wait()
        message = queue.popleft()
        if not queue:
            self._queued_bytes = 0
            if self._held:
                # From the loop, so that other tasks have their turn too.
                self.loop.call_soon(self._go_on)
        return message

    async def send(self, message: _Message) -> None:
        """ASGI: do what the message says; waits while the client does not keep up."""
        while self._writing_paused and self._phase is _Phase.OPEN:
            self._writable.clear()
            await self._writable.wait()
        kind = message["type"]
        if self._phase is _Phase.OPEN:
            if kind == "websocket.send":
                self._send_data(message)
            elif kind == "websocket.close":
                self._close(message.get("code", 1000), message.get("reason") or "")
            else:
                raise _unexpected(kind, "'websocket.send' or 'websocket.close'")
        elif self._phase is _Phase.GONE:
            raise ClientDisconnected
        elif self._phase is _Phase.CONNECTING:
            self._answer(kind, message)
        elif self._phase is _Phase.REFUSING:
            self._send_body(kind, message)
        else:
            raise RuntimeError(f"Unexpected ASGI message '{kind}', the connection is closed.")

    def _send_data(self, message: _Message) -> None:
        data = message.get("bytes")
        if data is None:
            data = message.get("text")
            if data is None:
                return
        if self.transport.is_closing():  # connection_lost is still to come
            raise ClientDisconnected
        try:
            full = self._engine.send(data)
        except Error as error:
            if error.code == ERR_CLOSED:  # its event is still to come
                raise ClientDisconnected from None
            raise
        if full or not self._queue:
            self._flush()
        elif not self._flush_later:
            # There is more to receive, and probably more to send: written together.
            self._flush_later = True
            self.loop.call_soon(self._flush)

    def _answer(self, kind: str, message: _Message) -> None:
        if kind == "websocket.accept":
            self._accept(message.get("subprotocol"), message.get("headers") or ())
        elif kind == "websocket.close":
            self._log_answer("403")
            self._respond(403, [], b"")
        elif kind == "websocket.http.response.start":
            status = message["status"]
            if not 200 <= status <= 599:
                raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
            self._refusal = (status, _fields(message.get("headers") or ()), bytearray())
            self._phase = _Phase.REFUSING
        else:
            raise _unexpected(
                kind, "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'"
            )

    def _accept(self, subprotocol: str | None, headers: _Headers) -> None:
        fields = []
        for name, value in _fields([*self.default_headers, *headers]):
            if name.lower() == "sec-websocket-protocol":
                subprotocol = subprotocol or value
            else:
                fields.append((name, value))
        self._let_go()
        self._engine.accept(subprotocol, fields)
        self._log_answer("[accepted]")
        self._phase = _Phase.OPEN
        self._resume()

    def _send_body(self, kind: str, message: _Message) -> None:
        if kind != "websocket.http.response.body":
            raise _unexpected(kind, "'websocket.http.response.body'")
        status, headers, body = self._refusal
        body += message.get("body", b"")
        if len(body) > _RESPONSE_BYTES:
            raise RuntimeError(f"The response has more than {_RESPONSE_BYTES} bytes.")
        if not message.get("more_body", False):
            self._log_answer(str(status))
            self._respond(status, headers, bytes(body))

    # ---- endings ----

    def _respond(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        phase: _Phase = _Phase.CLOSED,
    ) -> None:
        """Refuse the handshake."""
        fields = [
            (name, value)
            for name, value in _fields(self.default_headers) + headers
            if name.lower() not in _OWN_FIELDS
        ]
        self._let_go()
        self._engine.respond(status, fields, body)
        self._end(phase, 1006, "")
        self._resume()

    def _close(self, code: int, reason: str, phase: _Phase = _Phase.CLOSED) -> None:
        """Begin the closing handshake; a pause of reading ends, the peer's Close must be read."""
        self._let_go()
        try:
            self._engine.close(code, reason)
        except Error as error:
            if error.code != ERR_CLOSED:
                self._resume()
                raise
            phase = _Phase.GONE  # its event is still to come
        self._end(phase, code, reason)
        self._resume()

    # ---- logging ----

    def _trace(self, text: str) -> None:
        if self.logger.isEnabledFor(TRACE_LOG_LEVEL):
            client = self.scope["client"]
            prefix = f"{client[0]}:{client[1]} - " if client else ""
            self.logger.log(TRACE_LOG_LEVEL, "%s%s", prefix, text)

    def _log(self, text: str, *args: object) -> None:
        client = self.scope["client"]
        address = f"{client[0]}:{client[1]}" if client else ""
        self.logger.info('%s - "WebSocket" ' + text, address, *args)

    def _log_answer(self, answer: str) -> None:
        scope: Any = self.scope
        self.logger.info(
            '%s - "WebSocket %s" %s',
            get_client_addr(scope),
            get_path_with_query_string(scope),
            answer,
        )


def _fields(headers: _Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _unexpected(kind: str, expected: str) -> RuntimeError:
    return RuntimeError(f"Expected ASGI message {expected}, but got '{kind}'.")
