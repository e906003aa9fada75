"""A connection for threads: what clients and servers have in common."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from .. import _core
from .._failures import close_code, close_reason, connection_closed, refused_call
from .._options import address
from ..exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedOK, ProtocolError
from ..frames import Close, CloseCode
from ..protocol import State
from ._io import Deadline, Signal

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..http11 import Request, Response
    from ..typing import Data, DataLike, LoggerLike, Subprotocol

__all__ = ["Connection"]

_STATES = tuple(State)
_TWO_RECEIVERS = "cannot call {} while another thread is already running recv or recv_streaming"
_MAX_REASON = 123  # bytes
_WHOLE = (str, bytes, bytearray, memoryview, _core.Message)


class Pong(threading.Event):
    """Set when the answer to a ping has come; `latency` is then the time it took, in seconds."""

    latency: float | None = None


class Connection(_core.Connection):
    """An open WebSocket connection.

    Its methods may be called from any thread, except recv and its relatives, which one thread
    uses at a time.  Those that wait are interrupted by signals (Ctrl-C) without losing a message.

    `id`: a UUID for logs; `logger`: a logging.Logger or LoggerAdapter; `request`, `response`:
    the opening handshake, None before it.
    """

    id: uuid.UUID
    logger: LoggerLike
    request: Request | None
    response: Response | None

    def __init__(
        self,
        loop: _core.Loop,
        *,
        max_queue: tuple[int, int] | None = (16, 4),
        write_low: int = 2**13,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(loop, None, max_queue)
        self.id = uuid.uuid4()
        self.request = None
        self.response = None
        self.logger = logger if logger is not None else logging.getLogger("libws")
        self._signal = Signal()
        self.notify = self._signal.notify
        self._write_low = write_low
        self._receiving = False
        self._chunked = False
        self._parts: list[bytes] = []  # of a message that recv has not seen the end of
        self._pings: dict[bytes, tuple[Pong, float, bool]] = {}
        self._latency = 0.0
        self._seen_rtt = -1
        self._sent_reason = ""

    # What the extension module calls, on the thread of the loop.

    def _on_open(self) -> None:
        self._signal.notify()

    def _on_close(self) -> None:
        for pong, _, on_close in self._pings.values():
            if on_close:
                pong.set()
        self._pings.clear()
        self._signal.notify()

    def _on_pong(self, data: bytes) -> None:
        if data not in self._pings:
            return
        now = time.monotonic()
        # RFC 6455 5.5.3: who is behind may answer the latest ping only, which answers the earlier
        # ones too.
        for key in list(self._pings):
            pong, sent, _ = self._pings.pop(key)
            pong.latency = now - sent
            if key == data:
                self._latency = pong.latency
                self._seen_rtt = self.stats()["rtt_us"]
            pong.set()
            if key == data:
                return

    def _closed_error(self) -> ConnectionClosed:
        return connection_closed(self.close_info, self._sent_reason)

    def _has_outcome(self) -> bool:
        """Whether the opening handshake is over."""
        return super().state != _core.CONNECTING

    # Attributes.

    @property
    def state(self) -> State:
        """CONNECTING, OPEN, CLOSING or CLOSED; libws.protocol.State."""
        return _STATES[super().state]

    @property
    def subprotocol(self) -> Subprotocol | None:
        """The one that was agreed on, or None."""
        return self.native_subprotocol  # type: ignore[return-value]

    @property
    def local_address(self) -> Any:
        """As socket.getsockname: (host, port) for IPv4, four items for IPv6, a path for unix."""
        return address(self.local)

    @property
    def remote_address(self) -> Any:
        """As socket.getpeername."""
        return address(self.peer)

    @property
    def close_code(self) -> int | None:
        """The code of the peer's Close frame, 1005: it had none, 1006: there was no Close frame;
        None until the connection is CLOSED."""
        return close_code(self.close_info)

    @property
    def close_reason(self) -> str | None:
        """The reason of the peer's Close frame; None until the connection is CLOSED."""
        return close_reason(self.close_info)

    @property
    def latency(self) -> float:
        """Seconds from the last ping that was answered to its pong; 0.0 before the first."""
        rtt = self.stats()["rtt_us"]
        if rtt >= 0 and rtt != self._seen_rtt:
            self._seen_rtt = rtt
            self._latency = rtt / 1e6
        return self._latency

    # Receiving.

    @overload  # type: ignore[override]
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data: ...
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """Receive the next message: str for text, bytes for binary.

        `timeout`: seconds to wait at most, None for ever, 0 or less not at all; then TimeoutError.
        `decode`: True always str, False always bytes.

        Raises ConnectionClosed once the connection has ended and all messages were received,
        ConcurrencyError when another thread is receiving.
        """
        # No call, and so no other thread and no signal, comes between this and the `try`.
        if self._receiving:
            raise ConcurrencyError(_TWO_RECEIVERS.format("recv"))
        self._receiving = True
        try:
            if self._chunked:
                return self._recv_joined(timeout, decode)
            message: Data | None = self.pop(decode)
            if message is None:
                self._wait_input(timeout)
                message = self.pop(decode)
                if message is None:
                    raise self._closed_error()
            return message
        finally:
            self._receiving = False

    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]:
        """Receive the next message piece by piece, as it arrives.

        The iterator must be used up, or else every later recv raises ConcurrencyError.  A message
        that had begun to arrive before the first call of this method comes in one piece.
        `decode`: True yields str, False bytes; None what the message is.  A piece of text may be
        empty when it ends inside a code point.  Raises as recv, TimeoutError excepted.
        """
        if self._receiving:
            raise ConcurrencyError(_TWO_RECEIVERS.format("recv_streaming"))
        self._receiving = True
        decoder = None
        begun = False
        try:
            if not self._chunked:
                self._chunked = True
                self._set_chunks()
            last = False
            while not last:
                opcode, data, last = self._next_part(None)
                if not begun:
                    begun = True
                    if opcode == _core.OP_TEXT if decode is None else decode:
                        decoder = getincrementaldecoder("utf-8")()
                if last:
                    self._receiving = False
                yield data if decoder is None else decoder.decode(data, last)
        except BaseException:
            # Who gives up in the middle of a message leaves the rest of it in the way.
            if not begun or self._is_closed():
                self._receiving = False
            raise

    def __iter__(self) -> Iterator[Data]:
        """Messages until the connection ends; ConnectionClosedError if not as it should."""
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    def _wait_input(self, timeout: float | None) -> None:
        """Until something is queued or nothing can come any more."""
        deadline = None if timeout is None else Deadline(max(0.0, timeout))
        if not self._signal.wait_for(self._has_input, deadline):
            raise TimeoutError(f"no message within {timeout} s")

    def _has_input(self) -> bool:
        return self.queued > 0 or self._is_closed()

    def _is_closed(self) -> bool:
        return super().state == _core.CLOSED

    def _next_part(self, timeout: float | None) -> tuple[int, bytes, bool]:
        part = self.pop_chunk()
        if part is None:
            self._wait_input(timeout)
            part = self.pop_chunk()
            if part is None:
                raise self._closed_error()
        opcode, _, last, data = part
        if self._parts:  # recv gave up in the middle of this message
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
        return opcode, data, last

    def _recv_joined(self, timeout: float | None, decode: bool | None) -> Data:
        """A whole message when parts are queued; a timeout in the middle keeps what there is."""
        deadline = Deadline(timeout)
        parts: list[bytes] = []
        last = False
        try:
            while not last:
                opcode, data, last = self._next_part(deadline.left())
                parts.append(data)
        except BaseException:
            self._parts[:0] = parts
            raise
        text = opcode == _core.OP_TEXT if decode is None else decode
        whole = b"".join(parts)
        return whole.decode() if text else whole

    # Sending.

    def send(  # type: ignore[override]
        self,
        message: DataLike | _core.Message | Iterable[DataLike],
        text: bool | None = None,
        *,
        compress: bool | int | None = None,
    ) -> None:
        """Send a message: str as text, bytes-like as binary; `text` chooses otherwise.

        An iterable of such is sent as one message, a fragment for each item as it comes; sends of
        other threads wait meanwhile.  `compress`: True, False or a level from 1 to 9, for this
        message.  Waits while more than the high mark of write_limit is not yet written.

        Raises ConnectionClosed, TypeError.
        """
        if isinstance(message, _WHOLE):
            self._send_whole(message, text, compress)
        elif isinstance(message, Mapping):
            raise TypeError("cannot send a mapping; send its keys() to send these as fragments")
        elif _has_buffer(message):
            self._send_whole(memoryview(message), text, compress)  # type: ignore[arg-type]
        elif isinstance(message, Iterable):
            self._send_fragmented(iter(message), text, compress)
        else:
            kind = type(message).__name__
            raise TypeError(f"cannot send {kind}: not str, bytes-like or iterable")

    def _send_whole(
        self, message: DataLike | _core.Message, text: bool | None, compress: bool | int | None
    ) -> None:
        if self.fragmenting:
            self._wait_turn()
        try:
            full = self.send_now(message, text, compress=compress)
        except ConnectionClosed:
            raise self._ended() from None
        if full:
            self._wait_room()

    def _wait_turn(self) -> None:
        """Until no other thread sends fragments."""
        self._signal.wait_for(lambda: not self.fragmenting or not self._is_open())

    def _ended(self) -> ConnectionClosed:
        """What to raise; while the closing handshake goes on, its codes are not known yet."""
        self.wait_closed()
        return self._closed_error()

    def _is_open(self) -> bool:
        return super().state == _core.OPEN

    def _has_room(self) -> bool:
        return self.buffered <= self._write_low or self._is_closed()

    def _wait_room(self) -> None:
        self._signal.wait_for(self._has_room)
        if self._is_closed():
            raise self._closed_error()

    def _send_fragmented(
        self, pieces: Iterator[DataLike], text: bool | None, compress: bool | int | None
    ) -> None:
        piece = next(pieces, None)
        if piece is None:
            return
        is_str = _checked(piece, None)
        opcode = _core.OP_TEXT if (is_str if text is None else text) else _core.OP_BINARY
        while self.fragmenting:
            self._wait_turn()
            if not self._is_open():
                break
        try:
            self._begin_fragments(compress)
        except ConnectionClosed:
            raise self._ended() from None
        try:
            self._send_piece(piece, opcode, False)
            for piece in pieces:
                _checked(piece, is_str)
                self._send_piece(piece, opcode, False)
            self._send_piece(b"", opcode, True)
        except BaseException:
            # Half of a message cannot be taken back, nor can another one follow it.
            self._close_now(CloseCode.INTERNAL_ERROR, "error in fragmented message")
            raise
        finally:
            self._end_fragments()
            self._signal.notify()

    def _send_piece(self, piece: DataLike, opcode: int, last: bool) -> None:
        try:
            full = self.send_part(piece, opcode, last)
        except ConnectionClosed:
            raise self._ended() from None
        if full:
            self._wait_room()

    # Pings, and the end.

    def ping(self, data: DataLike | None = None, *, ack_on_close: bool = False) -> Pong:
        """Send a ping; at most 125 bytes, random ones by default.

        Returns a threading.Event that is set when the pong has come; its attribute `latency` is
        then the time that took, in seconds.  `ack_on_close`: it is also set when the connection
        ends.  Raises ConnectionClosed, ConcurrencyError (such a ping is under way already).
        """
        payload = _payload(data) if data is not None else self._unused_payload()
        if payload in self._pings:
            raise ConcurrencyError("already waiting for a pong with the same data")
        pong = Pong()
        self._pings[payload] = (pong, time.monotonic(), ack_on_close)
        try:
            self._control(lambda: self.ping_now(payload))
        except BaseException:
            self._pings.pop(payload, None)
            raise
        return pong

    def pong(self, data: DataLike = b"") -> None:
        """Send a pong that nobody asked for.  Raises ConnectionClosed."""
        payload = _payload(data)
        self._control(lambda: self.pong_now(payload))

    def _unused_payload(self) -> bytes:
        while (payload := os.urandom(4)) in self._pings:
            pass
        return payload

    def _control(self, call: Callable[[], None]) -> None:
        try:
            call()
        except ConnectionClosed:
            raise self._ended() from None
        except _core.Error as error:
            raise refused_call(error) from error

    def close(self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection and wait until it has ended, at most for close_timeout.

        Does nothing more than wait when a close has begun.  Raises ProtocolError for a code or a
        reason that cannot be sent.
        """
        if self._is_open():
            if self.fragmenting:
                code, reason = CloseCode.INTERNAL_ERROR, "close during fragmented message"
            self._close_now(int(code), reason)
        self.wait_closed()

    def _close_now(self, code: int, reason: str) -> None:
        check_close(code, reason)
        try:
            self.close_now(code, reason)
        except _core.Error as error:
            raise refused_call(error) from error
        except ConnectionClosed:
            return
        self._sent_reason = reason

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection has ended; False: `timeout` seconds went by."""
        deadline = None if timeout is None else Deadline(max(0.0, timeout))
        return self._signal.wait_for(self._is_closed, deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self.close(CloseCode.INTERNAL_ERROR)


def check_close(code: int, reason: str) -> None:
    """ProtocolError for what a Close frame cannot say (RFC 6455 5.5, 7.4)."""
    Close(code, reason).check()  # the library takes 0 too, for a Close without a code
    size = len(reason.encode())
    if size > _MAX_REASON:
        raise ProtocolError(f"a close reason of {size} bytes; at most {_MAX_REASON} can be sent")


def _checked(piece: object, expect_str: bool | None) -> bool:
    """Whether a fragment is str; TypeError if it is no data or not like those before it."""
    is_str = isinstance(piece, str)
    if not is_str and not _has_buffer(piece):
        raise TypeError(f"a fragment is {type(piece).__name__}, not str or bytes-like")
    if expect_str is not None and is_str != expect_str:
        raise TypeError("fragments of one message must be all str or all bytes-like")
    return is_str


def _has_buffer(value: object) -> bool:
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _payload(data: DataLike) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if not _has_buffer(data):
        raise TypeError(f"data must be str or bytes-like, not {type(data).__name__}")
    return bytes(data)
