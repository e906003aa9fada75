"""A connection for asyncio: what clients and servers have in common.

recv, send and iteration are the extension module's; here is what is not called for every message.
An idle connection is meant to be small, so whatever most connections never ask for (a logger, an
id, the parsed request) is made when it is asked for.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import time
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from .. import _core
from .._broadcast import broadcast
from .._failures import close_code, close_reason, connection_closed, refused_call
from .._options import address
from ..datastructures import Headers
from ..exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
)
from ..frames import Close, CloseCode
from ..http11 import Request, Response
from ..protocol import State
from ..typing import Data, DataLike, LoggerLike, Subprotocol

if TYPE_CHECKING:
    from typing_extensions import Self

    Sendable = DataLike | _core.Message | Iterable[DataLike] | AsyncIterable[DataLike]

__all__ = ["Connection", "broadcast"]

_PING_BYTES = 4
_MAX_PINGS = 4096  # unanswered ones of a connection, each with a future of about 300 bytes
_NO_ERROR_CODES = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY)
_UNFINISHED = "a message sent in fragments was not finished"


class Connection(_core.Connection):
    """An open connection; not made by applications, but by connect and serve.

    One coroutine may receive at a time, any number may send.  All of it belongs to the thread of
    the asyncio loop it was made in.
    """

    __slots__ = (
        "_base_logger",
        "_closing",
        "_ended",
        "_fragments_end",
        "_id",
        "_latency",
        "_logger",
        "_pings",
        "_request",
        "_response",
        "_streaming",
    )

    _base_logger: LoggerLike
    _closing: Close | None  # what this side said, or would have said had the peer not been first
    _ended: asyncio.Future[None] | None  # made by the first wait_closed()
    _fragments_end: asyncio.Future[None] | None  # made by the first that waits for it
    _id: uuid.UUID | None
    _latency: tuple[float, int] | None  # of the last ping(), and rtt_us at that time
    _logger: LoggerLike | None
    _pings: dict[bytes, tuple[asyncio.Future[float], float]] | None  # unanswered, oldest first
    _request: Request | str | None  # str: see _pack
    _response: Response | str | None
    _streaming: bool  # between the first and the last fragment of recv_streaming

    def __init__(
        self,
        loop: _core.Loop,
        *,
        max_queue: tuple[int, int] | None = (16, 4),
        logger: LoggerLike,
    ) -> None:
        super().__init__(loop, None, max_queue)
        self._base_logger = logger
        self._closing = None
        self._ended = None
        self._fragments_end = None
        self._id = None
        self._latency = None
        self._logger = None
        self._pings = None
        self._request = None
        self._response = None
        self._streaming = False

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.state.name} {self.peer}>"

    # What it is.

    @property
    def id(self) -> uuid.UUID:
        """A random number for logs (RFC 9562 version 4)."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def logger(self) -> LoggerLike:
        """A logger whose records have this connection as their attribute `websocket`."""
        if self._logger is None:
            self._logger = logging.LoggerAdapter(self._base_logger, {"websocket": self})
        return self._logger

    @property
    def local_address(self) -> Any:
        """As socket.getsockname: (host, port), for IPv6 a tuple of four, a str for unix."""
        return address(self.local)

    @property
    def remote_address(self) -> Any:
        """As socket.getpeername; see local_address."""
        return address(self.peer)

    @property
    def state(self) -> State:
        """How far it is; only for information, as it can change at any await."""
        return State(super().state)

    @property
    def subprotocol(self) -> Subprotocol | None:
        """What both sides agreed on, or None."""
        name = self.native_subprotocol
        return None if name is None else Subprotocol(name)

    @property
    def request(self) -> Request | None:
        """The request of the opening handshake."""
        if isinstance(self._request, str):
            self._request = _unpack_request(self._request)
        return self._request

    @property
    def response(self) -> Response | None:
        """The response of the opening handshake; None before it is known."""
        if isinstance(self._response, str):
            self._response = _unpack_response(self._response)
        return self._response

    @property
    def latency(self) -> float:
        """Round trip time in seconds of the last ping, of ping() or keepalive; 0 before any."""
        rtt_us = self.stats()["rtt_us"]
        if self._latency is not None and self._latency[1] == rtt_us:
            return self._latency[0]
        return max(rtt_us, 0) / 1e6

    @property
    def close_code(self) -> int | None:
        """The code received: 1005 for a Close without one, 1006 for none; None while not CLOSED."""
        return close_code(self.close_info)

    @property
    def close_reason(self) -> str | None:
        """The reason received, "" if there was none; None while not CLOSED."""
        return close_reason(self.close_info)

    # Receiving.

    if TYPE_CHECKING:

        @overload
        def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
        @overload
        def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
        @overload
        def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]: ...
        def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]:
            """Receive the next message: str for text, bytes for binary.

            `decode`: True for str and False for bytes, whatever came.  May be cancelled without
            losing a message.  Errors: ConnectionClosedOK or ConnectionClosedError when nothing
            is left to read, ConcurrencyError while another coroutine receives.
            """

        def __anext__(self) -> Coroutine[Any, Any, Data]: ...

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """Receive the next message piece by piece, as it arrives.

        Pieces are what came together: they need not be the sender's fragments.  Text is cut
        between characters only.  `decode` and errors: as recv.  The iterator must be used up: until
        then others who receive get ConcurrencyError.
        """
        if self._streaming:
            raise ConcurrencyError("recv_streaming: the message before was not read to its end")
        self._set_chunks()
        opcode, first, last, data = await self._recv_chunk()
        if decode is None:
            decode = opcode == _core.OP_TEXT
        self._streaming = not last
        decoder = codecs.getincrementaldecoder("utf-8")() if decode else None
        while True:
            piece = data if decoder is None else decoder.decode(data, last)
            # Nothing is lost with an empty piece, unless it is the whole message.
            if piece or (first and last):
                yield piece
            if last:
                return
            opcode, first, last, data = await self._recv_chunk()
            self._streaming = not last

    # Sending.

    if TYPE_CHECKING:

        def send(
            self,
            message: Sendable,
            text: bool | None = None,
            *,
            compress: bool | int | None = None,
        ) -> Coroutine[Any, Any, None]:
            """Send a message, and wait while more than write_limit is queued.

            str is sent as text, what is bytes-like as binary; `text` True or False chooses.  An
            iterable or asynchronous iterable of either is sent as one message, each item a
            fragment; if it raises, or if sending is cancelled, in the middle of the message, the
            connection is closed with 1011.
            `compress`: True, False, or a level 1 to 9, for this message.
            Errors: ConnectionClosed, TypeError.
            """

    async def _send_fragments(
        self, message: object, text: bool | None, compress: bool | int | None
    ) -> None:
        items = _Fragments(message, text)
        while self.fragmenting and super().state == _core.OPEN:
            await self._wait_for_fragments()
        self._begin_fragments(compress)
        try:
            async with contextlib.aclosing(items.pieces()) as pieces:
                async for piece, opcode, last in pieces:
                    full = self.send_part(piece, opcode, last)
                    if last:
                        items.begun = False
                    if full:
                        await self._wait_drained()
        except BaseException:
            if items.begun:  # and not ended
                # Nothing can follow a message without an end.
                self._begin_close(CloseCode.INTERNAL_ERROR)
            raise
        finally:
            self._end_fragments()
            if self._fragments_end is not None:
                _wake(self._fragments_end)
                self._fragments_end = None

    async def _wait_for_fragments(self) -> None:
        if self._fragments_end is None:
            self._fragments_end = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._fragments_end)

    # Pings.

    async def ping(self, data: DataLike | None = None) -> Awaitable[float]:
        """Send a ping, and return a future for the seconds until its pong comes.

        `data`: at most 125 bytes, None for four random ones.  A pong answers all pings before it,
        too (RFC 6455 5.5.3).  The future may be dropped.  Errors: ConnectionClosed (of the future,
        too), ConcurrencyError (a ping with this data, or 4096 pings, are unanswered), ProtocolError
        (too long).
        """
        if self._pings is None:
            self._pings = {}
        if len(self._pings) >= _MAX_PINGS:
            raise ConcurrencyError(f"ping: {_MAX_PINGS} pings are not answered yet")
        payload = self._fresh_ping() if data is None else _to_bytes(data)
        if payload in self._pings:
            raise ConcurrencyError("ping: one with the same data is not answered yet")
        self._control(self.ping_now, payload)
        answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        # Not the time of the loop: uvloop's stands still within an iteration.
        self._pings[payload] = (answered, time.monotonic())
        return answered

    def _fresh_ping(self) -> bytes:
        data = os.urandom(_PING_BYTES)
        while self._pings and data in self._pings:
            data = os.urandom(_PING_BYTES)
        return data

    async def pong(self, data: DataLike = b"") -> None:
        """Send a pong nobody asked for.  Errors: ConnectionClosed, ProtocolError (too long)."""
        self._control(self.pong_now, _to_bytes(data))

    def _control(self, call: Any, payload: bytes) -> None:
        try:
            call(payload)
        except _core.Error as error:
            raise refused_call(error) from None

    def _on_pong(self, data: bytes) -> None:
        if not self._pings or data not in self._pings:
            return
        now = time.monotonic()
        while True:
            payload = next(iter(self._pings))
            answered, sent = self._pings.pop(payload)
            if not answered.done():
                answered.set_result(now - sent)
            if payload == data:
                self._latency = (now - sent, self.stats()["rtt_us"])
                return

    # The end.

    async def close(self, code: CloseCode | int = 1000, reason: str = "") -> None:
        """Close the connection, and wait until that is done (or close_timeout is over).

        Messages that were received before can still be read.  Does nothing but wait if it is
        closing already.  `reason`: at most 123 bytes.  Errors: ProtocolError (the code or reason
        cannot be sent).
        """
        self._begin_close(code, reason)
        await self.wait_closed()

    def _begin_close(self, code: CloseCode | int, reason: str = "") -> None:
        if super().state != _core.OPEN:
            return
        if self.fragmenting:
            # The peer could take the fragments it has for the message (RFC 6455 5.4).
            code, reason = CloseCode.INTERNAL_ERROR, _UNFINISHED
        closing = Close(code, reason)
        closing.check()  # 0 would be a Close without a code
        try:
            self.close_now(int(code), reason)
        except _core.Error as error:
            raise refused_call(error) from None
        self._closing = closing

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, whoever closes it."""
        if super().state == _core.CLOSED:
            return
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        # Shielded, because it is everybody's.
        await asyncio.shield(self._ended)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if kind is None else CloseCode.INTERNAL_ERROR)

    def _closed_error(self) -> ConnectionClosed | InvalidState:
        state = super().state
        if state == _core.CONNECTING:
            return InvalidState("the connection is not open yet")
        if state == _core.CLOSED:
            return connection_closed(self.close_info, self._closing.reason if self._closing else "")
        # This side has sent its Close; what the peer will say is not known yet.
        if self._closing is not None and self._closing.code in _NO_ERROR_CODES:
            return ConnectionClosedOK(None, self._closing)
        return ConnectionClosedError(None, self._closing)

    def _on_close(self) -> None:
        if self._pings:
            for answered, _ in self._pings.values():
                if not answered.done() and not answered.get_loop().is_closed():
                    answered.set_exception(self._closed_error())
                    answered.exception()  # seen: a ping whose future was dropped is no mistake
            self._pings = None
        if self._fragments_end is not None:
            _wake(self._fragments_end)
        if self._ended is not None:
            _wake(self._ended)
        if self._base_logger.isEnabledFor(logging.INFO):
            self.logger.info("connection closed")


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(None)


def _to_bytes(data: DataLike) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (int, float)) or data is None:  # bytes(4) would be four zeros
        raise TypeError(f"data must be str or bytes-like, not {type(data).__name__}")
    return bytes(data)


class _Fragments:
    """The pieces of a message that an application gave as an iterable, with opcode and last.

    An iterable is one piece ahead, so that its last one is known.  An asynchronous one can take
    any time for its next piece: nothing waits for that, and an empty frame ends the message.
    """

    def __init__(self, message: object, text: bool | None) -> None:
        if isinstance(message, Mapping):
            raise TypeError("send: a mapping is not a message; send(m.keys()) would send its keys")
        if not isinstance(message, (Iterable, AsyncIterable)):
            raise TypeError(
                "send: expected str, bytes-like, Message, or an iterable or asynchronous iterable "
                f"of str or bytes-like, not {type(message).__name__}"
            )
        self._message = message
        self._text = text
        self._kind: type[str] | type[bytes] | None = None
        self.begun = False  # a piece was handed out

    async def pieces(self) -> AsyncGenerator[tuple[Any, int, bool], None]:
        if isinstance(self._message, AsyncIterable):
            async for item in self._message:
                yield self._check(item), self._opcode(), False
            if self.begun:
                yield b"", self._opcode(), True
            return
        for item, last in _with_last(self._message):
            yield self._check(item), self._opcode(), last

    def _check(self, item: object) -> object:
        kind: type[str] | type[bytes] = str if isinstance(item, str) else bytes
        if kind is bytes:
            try:
                memoryview(item)  # type: ignore[arg-type]
            except TypeError:
                raise TypeError(
                    f"send: a fragment must be str or bytes-like, not {type(item).__name__}"
                ) from None
        if self._kind is not None and kind is not self._kind:
            raise TypeError("send: fragments of one message must be all str or all bytes-like")
        self._kind = kind
        self.begun = True
        return item

    def _opcode(self) -> int:
        text = self._kind is str if self._text is None else self._text
        return _core.OP_TEXT if text else _core.OP_BINARY


def _with_last(items: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    iterator = iter(items)
    try:
        ahead = next(iterator)
    except StopIteration:
        return
    for item in iterator:
        yield ahead, False
        ahead = item
    yield ahead, True


# A head in one str: a tenth of the memory of its parts.  No part can hold a line feed.


def _pack(first: str, second: str, fields: Iterable[tuple[str, str]]) -> str:
    parts = [first, second]
    for field in fields:
        parts += field
    return "\n".join(parts)


def _unpack(packed: str) -> tuple[str, str, list[tuple[str, str]]]:
    first, second, *rest = packed.split("\n")
    return first, second, list(zip(rest[::2], rest[1::2], strict=True))


def _pack_request(request: Request) -> str:
    return _pack(request.method, request.path, request.headers.raw_items())


def _unpack_request(packed: str) -> Request:
    method, path, fields = _unpack(packed)
    return Request(path, _headers(fields), method)


def _pack_response(response: Response) -> str:
    """Of one without a body."""
    fields = response.headers.raw_items()
    return _pack(str(response.status_code), response.reason_phrase, fields)


def _unpack_response(packed: str) -> Response:
    status, phrase, fields = _unpack(packed)
    return Response(int(status), phrase, _headers(fields))


def _headers(fields: list[tuple[str, str]]) -> Headers:
    return Headers._of(fields)
