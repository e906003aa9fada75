"""libws.sync: receiving, sending, pings and the end, client and server against each other."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from libws import _core
from libws.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
)
from libws.frames import Close
from libws.protocol import State
from libws.sync.client import ClientConnection, connect
from libws.sync.server import ServerConnection
from sync_support import DEADLINE, Call, RawServer, connected, frame, wait_until


def test_recv_text_is_str() -> None:
    with connected(lambda c: c.send("é")) as ws:
        assert ws.recv(DEADLINE) == "é"


def test_recv_binary_is_bytes() -> None:
    with connected(lambda c: c.send(b"\x00\xff")) as ws:
        assert ws.recv(DEADLINE) == b"\x00\xff"


def test_recv_empty_messages_are_not_missing_ones() -> None:
    def handler(c: ServerConnection) -> None:
        c.send("")
        c.send(b"")

    with connected(handler) as ws:
        assert ws.recv(DEADLINE) == ""
        assert ws.recv(DEADLINE) == b""


def test_recv_decode_false_gives_bytes_of_text() -> None:
    with connected(lambda c: c.send("é")) as ws:
        assert ws.recv(DEADLINE, decode=False) == "é".encode()


def test_recv_decode_true_gives_str_of_binary() -> None:
    with connected(lambda c: c.send("é".encode())) as ws:
        assert ws.recv(DEADLINE, decode=True) == "é"


@pytest.mark.parametrize("timeout", [-1, 0, 0.01])
def test_recv_with_nothing_to_come_times_out(timeout: float) -> None:
    with connected() as ws:
        with pytest.raises(TimeoutError):
            ws.recv(timeout)
        ws.send("still usable")
        assert ws.recv(DEADLINE) == "still usable"


def test_recv_timeout_zero_takes_what_waits() -> None:
    with connected(lambda c: c.send("here")) as ws:
        wait_until(lambda: ws.queued > 0)
        assert ws.recv(0) == "here"


def test_recv_gives_messages_that_came_before_the_close() -> None:
    def handler(c: ServerConnection) -> None:
        c.send("1")
        c.send("2")

    with connected(handler) as ws:
        assert ws.wait_closed(DEADLINE)
        assert [ws.recv(), ws.recv()] == ["1", "2"]
        with pytest.raises(ConnectionClosedOK):
            ws.recv()


def test_recv_blocked_in_a_thread_wakes_for_a_message() -> None:
    with connected() as ws:
        call = Call(ws.recv)
        ws.send("now")
        assert call.result() == "now"


def test_recv_blocked_in_a_thread_wakes_for_the_end() -> None:
    with connected() as ws:
        call = Call(ws.recv)
        wait_until(lambda: ws._receiving)
        ws.close()
        with pytest.raises(ConnectionClosedOK):
            call.result()


def test_recv_of_two_threads_is_refused() -> None:
    with connected() as ws:
        call = Call(ws.recv)
        wait_until(lambda: ws._receiving)
        with pytest.raises(ConcurrencyError):
            ws.recv(0)
        with pytest.raises(ConcurrencyError):
            next(ws.recv_streaming())
        ws.send("for the first")
        assert call.result() == "for the first"


def test_iteration_ends_after_a_normal_close() -> None:
    def handler(c: ServerConnection) -> None:
        c.send("a")
        c.send("b")

    with connected(handler) as ws:
        assert list(ws) == ["a", "b"]


def test_iteration_raises_after_an_error() -> None:
    with connected(lambda c: c.close(1011, "broken")) as ws:
        with pytest.raises(ConnectionClosedError) as info:
            list(ws)
        assert info.value.rcvd == Close(1011, "broken")


def test_recv_streaming_yields_fragments() -> None:
    with RawServer() as server, _connect(server) as ws:
        _stream_once(server, ws)
        server.send(frame(1, b"a", fin=False))
        parts = ws.recv_streaming()
        assert next(parts) == "a"
        server.send(frame(0, b"b", fin=False) + frame(0, b"c"))
        assert "".join(parts) == "bc"  # type: ignore[arg-type]
        server.send(frame(2, b"next"))
        assert ws.recv(DEADLINE) == b"next"
        _finish(server)


def test_recv_streaming_text_cut_inside_a_code_point_is_joined() -> None:
    with RawServer() as server, _connect(server) as ws:
        server.send(frame(1, b"\xc3", fin=False) + frame(0, b"\xa9"))
        assert "".join(ws.recv_streaming()) == "é"  # type: ignore[arg-type]
        _finish(server)


def test_recv_streaming_decode_false_yields_bytes_of_text() -> None:
    with connected(lambda c: c.send("é")) as ws:
        assert b"".join(ws.recv_streaming(decode=False)) == "é".encode()


def test_recv_streaming_of_a_message_that_waited_whole() -> None:
    with connected(lambda c: c.send(b"whole")) as ws:
        wait_until(lambda: ws.queued > 0)
        assert list(ws.recv_streaming()) == [b"whole"]


def test_recv_streaming_not_used_up_blocks_recv() -> None:
    with RawServer() as server, _connect(server) as ws:
        _stream_once(server, ws)
        server.send(frame(1, b"a", fin=False))
        parts = ws.recv_streaming()
        assert next(parts) == "a"
        with pytest.raises(ConcurrencyError):
            ws.recv(0)
        server.send(frame(0, b"b"))
        assert list(parts) == ["b"]
        _finish(server)


def test_recv_after_streaming_keeps_the_parts_of_a_timeout() -> None:
    with RawServer() as server, _connect(server) as ws:
        _stream_once(server, ws)
        server.send(frame(2, b"a", fin=False))
        wait_until(lambda: ws.queued > 0)
        with pytest.raises(TimeoutError):
            ws.recv(0)
        server.send(frame(0, b"b"))
        assert ws.recv(DEADLINE) == b"ab"
        _finish(server)


def test_send_fragments_of_an_iterable_is_one_message() -> None:
    with connected() as ws:
        ws.send(iter(["a", "b", "c"]))
        assert ws.recv(DEADLINE) == "abc"
        ws.send([b"a", bytearray(b"b"), memoryview(b"c")])
        assert ws.recv(DEADLINE) == b"abc"


def test_send_empty_iterable_sends_nothing() -> None:
    with connected() as ws:
        ws.send([])
        ws.send("after")
        assert ws.recv(DEADLINE) == "after"


def test_send_text_argument_chooses_the_opcode() -> None:
    with connected() as ws:
        ws.send(b"text", text=True)
        ws.send("binary", text=False)
        ws.send([b"te", b"xt"], text=True)
        ws.send(["bin", "ary"], text=False)
        received = [ws.recv(DEADLINE) for _ in range(4)]
        assert received == ["text", b"binary", "text", b"binary"]


def test_send_message_object_and_arrays() -> None:
    import array

    with connected() as ws:
        ws.send(_core.Message("prepared"))
        ws.send(array.array("B", b"bytes"))
        assert ws.recv(DEADLINE) == "prepared"
        assert ws.recv(DEADLINE) == b"bytes"


@pytest.mark.parametrize("message", [{"a": 1}, 1, None])
def test_send_of_what_is_no_message_is_a_type_error(message: object) -> None:
    with connected() as ws:
        with pytest.raises(TypeError):
            ws.send(message)  # type: ignore[arg-type]
        ws.send("still usable")
        assert ws.recv(DEADLINE) == "still usable"


def test_send_mixed_fragments_end_the_connection() -> None:
    with connected() as ws:
        with pytest.raises(TypeError):
            ws.send(["a", b"b"])  # type: ignore[list-item]
        assert ws.wait_closed(DEADLINE)
        assert isinstance(ws._closed_error().sent, Close)
        assert ws._closed_error().sent.code == 1011  # type: ignore[union-attr]


def test_send_first_fragment_of_wrong_type_leaves_the_connection_usable() -> None:
    with connected() as ws:
        with pytest.raises(TypeError):
            ws.send([1])  # type: ignore[list-item]
        ws.send("still usable")
        assert ws.recv(DEADLINE) == "still usable"


def test_send_of_another_thread_waits_for_the_last_fragment() -> None:
    go, begun = threading.Event(), threading.Event()

    def pieces():  # type: ignore[no-untyped-def]
        yield "a"
        begun.set()
        assert go.wait(DEADLINE)
        yield "b"

    with connected() as ws:
        first = Call(ws.send, pieces())
        assert begun.wait(DEADLINE)
        second = Call(ws.send, "second")
        third = Call(ws.send, ["th", "ird"])
        assert second.running() and third.running()
        go.set()
        for call in (first, second, third):
            call.result()
        assert ws.recv(DEADLINE) == "ab"
        assert {ws.recv(DEADLINE), ws.recv(DEADLINE)} == {"second", "third"}


def test_send_above_write_limit_waits_until_the_peer_reads() -> None:
    read = threading.Event()

    def handler(c: ServerConnection) -> None:
        assert read.wait(DEADLINE)
        for _ in c:
            pass

    with connected(handler, {"max_queue": 1}, compression=None) as ws:
        sent = 0
        call = None
        while sent < 400:  # of 256 KiB each: more than any socket buffers take
            call = Call(ws.send, bytes(2**18))
            sent += 1
            call._thread.join(0.2)
            if call.running():
                break
        assert call is not None and call.running()
        read.set()
        call.result()


def test_send_waiting_for_room_raises_when_the_connection_ends() -> None:
    with RawServer() as server, _connect(server, compression=None) as ws:
        assert server.ready.wait(DEADLINE)
        calls = []
        for _ in range(400):
            calls.append(Call(ws.send, bytes(2**18)))
            calls[-1]._thread.join(0.2)
            if calls[-1].running():
                break
        assert calls[-1].running()
        ws.abort()
        with pytest.raises(ConnectionClosedError):
            calls[-1].result()


def test_send_after_close_raises_with_the_codes() -> None:
    with connected() as ws:
        ws.close(3000, "bye")
        with pytest.raises(ConnectionClosedError) as info:
            ws.send("too late")
        assert info.value.sent == Close(3000, "bye")
        assert info.value.rcvd is not None and info.value.rcvd.code == 3000
        assert info.value.rcvd_then_sent is False


def test_send_compress_argument_is_taken() -> None:
    with connected() as ws:
        for compress in (None, True, False, 9):
            ws.send("x" * 1000, compress=compress)
            assert ws.recv(DEADLINE) == "x" * 1000


def test_ping_pong_sets_the_event_and_the_latency() -> None:
    with connected() as ws:
        assert ws.latency == 0.0
        pong = ws.ping()
        assert pong.wait(DEADLINE)
        assert pong.latency is not None and pong.latency > 0
        assert ws.latency == pong.latency


def test_ping_with_data_under_way_is_refused() -> None:
    with RawServer() as server, _connect(server) as ws:
        ws.ping("same")
        with pytest.raises(ConcurrencyError):
            ws.ping(b"same")
        _finish(server)


def test_ping_a_later_pong_answers_the_earlier_pings() -> None:
    with RawServer() as server, _connect(server) as ws:
        first, second, third = ws.ping("1"), ws.ping("2"), ws.ping("3")
        server.send(frame(10, b"2"))
        assert second.wait(DEADLINE)
        assert first.is_set() and not third.is_set()
        _finish(server)


@pytest.mark.parametrize(("size", "fits"), [(124, True), (125, True), (126, False)])
def test_ping_and_pong_of_at_most_125_bytes(size: int, fits: bool) -> None:
    with connected() as ws:
        if fits:
            assert ws.ping(bytes(size)).wait(DEADLINE)
            ws.pong(bytes(size))
        else:
            with pytest.raises(ProtocolError):
                ws.ping(bytes(size))
            with pytest.raises(ProtocolError):
                ws.pong(bytes(size))
            assert ws.ping().wait(DEADLINE)


def test_ping_ack_on_close_is_set_by_the_end() -> None:
    with RawServer() as server, _connect(server) as ws:
        told, silent = ws.ping("1", ack_on_close=True), ws.ping("2")
        server.hang_up()
        assert told.wait(DEADLINE)
        assert told.latency is None
        assert not silent.is_set()


def test_close_tells_both_sides_the_code() -> None:
    seen: list[ConnectionClosed] = []

    def handler(c: ServerConnection) -> None:
        try:
            c.recv(DEADLINE)
        except ConnectionClosed as error:
            seen.append(error)

    with connected(handler) as ws:
        assert ws.state is State.OPEN
        assert ws.close_code is None and ws.close_reason is None
        ws.close(4000, "private")
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (4000, "")
    assert seen[0].rcvd == Close(4000, "private")
    assert seen[0].rcvd_then_sent is True


def test_close_twice_and_by_two_threads_is_one_close() -> None:
    with connected() as ws:
        calls = [Call(ws.close, 1000 + i) for i in (0, 1)]
        for call in calls:
            call.result()
        ws.close(1011)
        assert ws.close_code in (1000, 1001)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70000, -1])
def test_close_code_that_cannot_be_sent_is_refused(code: int) -> None:
    with connected() as ws:
        with pytest.raises(ProtocolError):
            ws.close(code)
        ws.send("still open")
        assert ws.recv(DEADLINE) == "still open"


@pytest.mark.parametrize(("size", "fits"), [(122, True), (123, True), (124, False)])
def test_close_reason_of_at_most_123_bytes(size: int, fits: bool) -> None:
    reasons: list[str | None] = []

    def handler(c: ServerConnection) -> None:
        c.wait_closed(DEADLINE)
        reasons.append(c.close_reason)

    with connected(handler) as ws:
        if not fits:
            with pytest.raises(ProtocolError):
                ws.close(1000, "r" * size)
            size = 0
        ws.close(1000, "r" * size)
    assert reasons == ["r" * size]


def test_close_of_a_silent_peer_ends_after_close_timeout() -> None:
    with RawServer() as server, _connect(server, close_timeout=0.05) as ws:
        assert server.ready.wait(DEADLINE)
        ws.close()
        assert ws.close_code == 1006
        error = ws._closed_error()
        assert error.rcvd is None and error.sent == Close(1000, "")


def test_context_manager_closes_with_1011_after_an_exception() -> None:
    codes: list[int | None] = []

    def handler(c: ServerConnection) -> None:
        c.wait_closed(DEADLINE)
        codes.append(c.close_code)

    with pytest.raises(KeyError):
        with connected(handler):
            raise KeyError
    assert codes == [1011]


def test_peer_that_vanishes_is_an_error_without_codes() -> None:
    with RawServer() as server, _connect(server) as ws:
        server.hang_up()
        with pytest.raises(ConnectionClosedError) as info:
            ws.recv(DEADLINE)
        assert info.value.rcvd is None and info.value.sent is None
        assert info.value.__cause__ is not None


def test_peer_that_breaks_the_protocol_is_sent_1002() -> None:
    with RawServer() as server, _connect(server) as ws:
        server.send(frame(0x70 | 1, b"reserved bits"))
        with pytest.raises(ConnectionClosedError) as info:
            ws.recv(DEADLINE)
        assert info.value.sent is not None and info.value.sent.code == 1002
        assert isinstance(info.value.__cause__, ProtocolError)


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_max_size_bounds_a_message(size: int, fits: bool) -> None:
    with connected(lambda c: c.send(bytes(size)), max_size=100) as ws:
        if fits:
            assert ws.recv(DEADLINE) == bytes(size)
        else:
            with pytest.raises(ConnectionClosedError) as info:
                ws.recv(DEADLINE)
            assert info.value.sent is not None and info.value.sent.code == 1009


def test_max_queue_stops_reading_until_recv() -> None:
    done = threading.Event()

    def handler(c: ServerConnection) -> None:
        for i in range(100):
            c.send(f"{i} " + "x" * 2**18)
        done.set()

    with connected(handler, max_queue=(2, 1), compression=None) as ws:
        wait_until(lambda: ws.queued > 2)
        assert not done.wait(0.2), "25 MiB cannot be on the way"
        assert ws.queued < 100
        received = [str(ws.recv(DEADLINE)).split()[0] for _ in range(100)]
        assert received == [str(i) for i in range(100)]


def test_keepalive_measures_the_latency() -> None:
    with connected(lambda c: c.wait_closed(DEADLINE), ping_interval=0.02) as ws:
        wait_until(lambda: ws.latency > 0)


def test_keepalive_without_answers_ends_the_connection() -> None:
    with RawServer() as server, _connect(server, ping_interval=0.02, ping_timeout=0.05) as ws:
        with pytest.raises(ConnectionClosedError) as info:
            ws.recv(DEADLINE)
        assert isinstance(info.value.__cause__, TimeoutError)


def test_attributes_of_both_sides() -> None:
    there: list[ServerConnection] = []

    def handler(c: ServerConnection) -> None:
        there.append(c)
        c.send("go")
        c.wait_closed(DEADLINE)

    with connected(handler, {"subprotocols": ["chat"]}, subprotocols=["x", "chat"]) as ws:
        ws.recv(DEADLINE)
        peer = there[0]
        assert ws.subprotocol == peer.subprotocol == "chat"
        assert ws.remote_address == peer.local_address
        assert ws.local_address == peer.remote_address
        assert ws.id != peer.id
        assert ws.request is not None and peer.request is not None
        assert ws.request.path == peer.request.path == "/"
        assert ws.response is not None and ws.response.status_code == 101
        assert ws.response.headers["Sec-WebSocket-Protocol"] == "chat"


def _connect(server: RawServer, **options: Any) -> ClientConnection:
    return connect(server.uri, proxy=None, **{"close_timeout": 0.2, **options})


def _stream_once(server: RawServer, ws: ClientConnection) -> None:
    """Parts are told of from the next message on that begins after the first recv_streaming."""
    server.send(frame(2, b"first"))
    assert list(ws.recv_streaming()) == [b"first"]


def _finish(server: RawServer) -> None:
    server.hang_up()
