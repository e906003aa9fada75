"""The sans-I/O engine: two of them talk to each other in memory."""

from __future__ import annotations

import pytest

from libws._core import (
    ERR_CLOSED,
    ERR_FULL,
    ERR_INVALID,
    ERR_STATE,
    ERR_TIMEOUT,
    ERR_TOO_BIG,
    ERR_UTF8,
    OP_BINARY,
    OP_TEXT,
    ClosedEvent,
    Config,
    Engine,
    Error,
    Message,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    RequestEvent,
)


def shaken(config=None, *, client_config=None, chunks=False, **options):
    """A server's and a client's engine, open."""
    server = Engine.server(config, chunks=chunks)
    client = Engine.client("localhost", config=client_config, chunks=chunks, **options)
    server.tick(0)
    client.tick(0)
    server.feed(client.output())
    assert isinstance(next(server), RequestEvent)
    server.accept()
    assert list(server.events()) == [OpenEvent((None,))]
    client.feed(server.output())
    assert list(client.events()) == [OpenEvent((None,))]
    return server, client


def carry(source, target):
    """All that `source` has to say; the events of `target`."""
    target.feed(source.output())
    return list(target.events())


def carry_control(source, target):
    """The same where one event is expected: its type (events are equal as tuples are), its data."""
    (event,) = carry(source, target)
    return type(event), event.data


def whole(data):
    return MessageEvent((data, OP_TEXT if isinstance(data, str) else OP_BINARY, True, True))


def expect_error(code, call, *args, **options):
    with pytest.raises(Error) as raised:
        call(*args, **options)
    assert raised.value.code == code
    return str(raised.value)


# ---- the handshake ----


def test_request_tells_what_the_client_asks_for():
    server = Engine.server()
    client = Engine.client(
        "example.com:81",
        "/a?b=c",
        headers=[("X-One", "1"), ("X-Two", "\xe9")],
        subprotocols=["p", "q"],
    )
    server.feed(client.output())
    (request,) = server.events()
    assert (request.is_upgrade, request.method, request.target) == (True, "GET", "/a?b=c")
    assert request.subprotocols == ["p", "q"]
    for field in [("Host", "example.com:81"), ("X-One", "1"), ("X-Two", "\xe9")]:
        assert field in request.headers


def test_accept_agrees_on_a_subprotocol_and_adds_headers():
    server = Engine.server()
    client = Engine.client("localhost", subprotocols=["p", "q"])
    server.feed(client.output())
    next(server)
    server.accept("q", [("X-Answer", "yes")])
    assert carry(server, client) == [OpenEvent(("q",))]
    assert list(server.events()) == [OpenEvent(("q",))]
    assert (server.subprotocol, client.subprotocol) == ("q", "q")
    assert client.response_header("x-answer") == "yes"
    assert client.response_header("x-other") is None


def test_accept_of_a_subprotocol_that_was_not_offered_is_refused_and_can_be_repeated():
    server = Engine.server()
    server.feed(Engine.client("localhost").output())
    next(server)
    assert "p" in expect_error(ERR_INVALID, server.accept, "p")
    server.accept()
    assert list(server.events()) == [OpenEvent((None,))]


def test_respond_refuses_with_status_and_body():
    server = Engine.server()
    client = Engine.client("localhost")
    server.feed(client.output())
    next(server)
    server.respond(403, [("X-Why", "so")], b"no")
    (closed,) = server.events()
    assert closed.http_status == 403
    client.feed(server.output())
    client.eof()
    (closed,) = client.events()
    assert (closed.http_status, client.response_body) == (403, b"no")
    assert client.response_header("x-why") == "so"


def test_answer_without_a_request_is_refused():
    server, client = shaken()
    for engine in (server, client, Engine.server()):
        expect_error(ERR_STATE, engine.accept)
        expect_error(ERR_STATE, engine.respond, 404)


def test_plain_http_is_a_request_that_is_no_upgrade():
    server = Engine.server()
    server.feed(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    (request,) = server.events()
    assert (request.is_upgrade, request.target) == (False, "/x")
    server.respond(200, body="text")
    assert server.output().endswith(b"\r\n\r\ntext")


def test_malformed_request_is_closed_with_its_status():
    server = Engine.server()
    server.feed(b"GET / HTTP/1.1\r\nbroken\r\n\r\n")
    (closed,) = server.events()
    assert closed.http_status == 400
    assert server.output().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: Engine(), TypeError),
        (lambda: Engine.client("a\0b"), ValueError),
        (lambda: Engine.client("localhost", headers=[("X", "a\0b")]), ValueError),
        (lambda: Engine.client("localhost", headers=[("X",)]), ValueError),
        (lambda: Engine.client("localhost", headers=[("X", 1)]), TypeError),
        (lambda: Engine.client("localhost", headers=[("X", "\u20ac")]), UnicodeEncodeError),
        (lambda: Engine.client("localhost", headers=[("X", "a\r\nb")]), Error),
        (lambda: Engine.client("localhost", headers=[("Host", "b")]), Error),
        (lambda: Engine.client("localhost", subprotocols="chat"), TypeError),
        (lambda: Engine.client("localhost", subprotocols=["a", "a"]), Error),
        (lambda: Engine.client("local host"), Error),
        (lambda: Engine.server("config"), TypeError),
    ],
)
def test_bad_arguments_are_named(call, kind):
    with pytest.raises(kind) as raised:
        call()
    assert str(raised.value)


# ---- messages ----

SIZES = [0, 1, 125, 126, 127, 65535, 65536]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_message_arrives_in_both_directions(kind, size):
    data = "x" * size if kind == "text" else bytes(size)
    for source, target in (pair := shaken(), pair[::-1]):
        source.send(data)
        assert carry(source, target) == [whole(data)]


@pytest.mark.parametrize("text", ["\xe9", "\u20ac", "\U0001f600", "a" * 2000 + "\xe9"])
def test_text_beyond_ascii_arrives_as_it_was(text):
    server, client = shaken()
    client.send(text)
    assert carry(client, server) == [whole(text)]


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_bytes_like_objects_can_be_sent_and_fed(make):
    server, client = shaken()
    client.send(make(b"data"))
    server.feed(make(client.output()))
    assert list(server) == [whole(b"data")]


def test_text_argument_chooses_the_opcode():
    server, client = shaken()
    client.send(b"t", text=True)
    client.send("b", False)
    assert carry(client, server) == [whole("t"), whole(b"b")]


def test_prepared_message_can_be_sent_by_many():
    message = Message("to all")
    for _ in range(3):
        server, client = shaken()
        server.send(message)
        assert carry(server, client) == [whole("to all")]


def test_text_that_is_not_utf8_is_refused_by_the_sender():
    server, _ = shaken()
    expect_error(ERR_UTF8, server.send, b"\xff", text=True)
    with pytest.raises(UnicodeEncodeError):
        server.send("\ud800")
    assert server.output() == b""


def test_everything_arrives_whatever_the_cuts():
    """The same events, byte by byte and at each single cut."""
    server, client = shaken()
    sent = ["", "text", b"binary", "\u20ac" * 50, bytes(300)]
    for data in sent:
        client.send(data)
    client.ping(b"p")
    client.close(1000, "end")
    wire = client.output()
    expected = None
    for step in [len(wire), 1, *range(1, len(wire))]:
        server, client = shaken()
        cuts = [step] if step > 1 else range(1, len(wire))
        start, events = 0, []
        for end in [*cuts, len(wire)]:
            server.feed(wire[start:end])
            events += server.events()
            start = end
        expected = events if expected is None else expected
        assert events == expected, step
    assert expected[: len(sent)] == [whole(data) for data in sent]
    assert expected[len(sent)] == PingEvent((b"p",))
    assert isinstance(expected[-1], ClosedEvent)


def test_handshake_arrives_byte_by_byte():
    server, client = Engine.server(), Engine.client("localhost")
    events = []
    for byte in client.output():
        server.feed(bytes([byte]))
        events += server.events()
    assert [type(event) for event in events] == [RequestEvent]
    server.accept()
    for byte in server.output():
        client.feed(bytes([byte]))
        events += client.events()
    assert isinstance(events[-1], OpenEvent)


def test_feed_before_the_events_are_taken_is_refused():
    server, client = shaken()
    client.send("one")
    client.send("two")
    wire = client.output()
    server.feed(wire)
    assert next(server) == whole("one")
    expect_error(ERR_STATE, server.feed, wire)
    assert list(server.events()) == [whole("two")]


def test_parts_are_joined_and_can_be_seen_with_chunks():
    for chunks in (False, True):
        server, client = shaken(chunks=chunks)
        client.begin_parts(compress=False)
        client.send_part("one", OP_TEXT, False)
        expect_error(ERR_STATE, client.send, "between")
        client.ping(b"between")
        client.send_part("two", OP_TEXT, last=True)
        events = carry(client, server)
        if chunks:
            assert MessageEvent((b"one", OP_TEXT, True, False)) in events
            assert b"".join(e.data for e in events if isinstance(e, MessageEvent)) == b"onetwo"
            assert [e.last for e in events if isinstance(e, MessageEvent)][-1]
        else:
            assert events == [PingEvent((b"between",)), whole("onetwo")]


def test_ping_is_answered_unless_told_otherwise():
    server, client = shaken()
    client.ping(b"are you there")
    assert carry_control(client, server) == (PingEvent, b"are you there")
    assert carry_control(server, client) == (PongEvent, b"are you there")
    server, client = shaken(Config(no_auto_pong=True))
    client.ping()
    assert carry_control(client, server) == (PingEvent, b"")
    assert not server.want_write
    server.pong(b"mine")
    assert carry_control(server, client) == (PongEvent, b"mine")


@pytest.mark.parametrize("size", [124, 125, 126])
def test_control_frames_have_125_bytes_at_most(size):
    server, client = shaken()
    for call in (server.ping, server.pong):
        if size <= 125:
            call(bytes(size))
        else:
            expect_error(ERR_INVALID, call, bytes(size))


# ---- limits ----


@pytest.mark.parametrize("size", [99, 100, 101])
def test_message_above_the_limit_is_1009(size):
    server, client = shaken(Config(max_message_bytes=100))
    client.send(bytes(size))
    events = carry(client, server)
    if size <= 100:
        assert events == [whole(bytes(size))]
    else:
        (closed,) = events
        assert (closed.error, closed.sent_code, closed.code) == (ERR_TOO_BIG, 1009, 1006)
        (closed,) = carry(server, client)
        assert closed.code == 1009


@pytest.mark.parametrize("size", [97, 98, 99])
def test_send_above_the_limit_of_the_queue_is_refused_whole(size):
    server, _ = shaken(Config(send_limit_bytes=100, send_high_bytes=100, send_low_bytes=50))
    if size <= 98:  # and a header of 2
        server.send(bytes(size))
        assert server.buffered == size + 2
    else:
        expect_error(ERR_FULL, server.send, bytes(size))
        assert server.buffered == 0


@pytest.mark.parametrize("size", [97, 98, 99])
def test_send_tells_when_more_than_the_high_mark_is_queued(size):
    server, _ = shaken(Config(send_high_bytes=100, send_low_bytes=50))
    assert server.send(bytes(size)) is (size > 98)
    server.output()
    assert server.send(b"") is False


def test_long_head_is_431():
    server = Engine.server(Config(max_header_bytes=200))
    server.feed(Engine.client("localhost", headers=[("X", "x" * 200)]).output())
    (closed,) = server.events()
    assert closed.http_status == 431


def test_unmasked_frame_of_a_client_is_1002():
    server, _ = shaken()
    server.feed(b"\x81\x01x")
    (closed,) = server.events()
    assert closed.sent_code == 1002


# ---- endings ----


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_close_arrives_with_code_and_reason(code):
    server, client = shaken()
    server.close(code, "because")
    (closed,) = carry(server, client)
    assert (closed.code, closed.reason) == (code, "because")
    assert (closed.clean, closed.by_peer, closed.error) == (True, True, 0)
    (closed,) = carry(client, server)
    assert (closed.code, closed.sent_code, closed.reason) == (code, code, "")
    assert (closed.clean, closed.by_peer) == (True, False)
    assert server.want_eof
    assert not server.want_close
    server.eof()
    assert list(server.events()) == []
    assert server.want_close


def test_close_without_a_code_is_1005():
    server, client = shaken()
    server.close(0)
    (closed,) = carry(server, client)
    assert (closed.code, closed.sent_code) == (1005, 1005)


@pytest.mark.parametrize("code", [-1, 1, 999, 1004, 1005, 1006, 1010, 1015, 2999, 5000, 65536])
def test_close_with_a_code_that_must_not_be_sent_is_refused(code):
    server, _ = shaken()
    expect_error(ERR_INVALID, server.close, code)
    assert server.output() == b""


@pytest.mark.parametrize("size", [122, 123, 124])
def test_close_reason_has_123_bytes_at_most(size):
    server, client = shaken()
    if size <= 123:
        server.close(1000, "x" * size)
        assert carry(server, client)[0].reason == "x" * size
    else:
        expect_error(ERR_INVALID, server.close, 1000, "x" * size)


def test_send_and_close_after_close_are_refused():
    server, _ = shaken()
    server.close()
    for call, args in [(server.send, ["x"]), (server.ping, []), (server.close, [])]:
        expect_error(ERR_CLOSED, call, *args)


def test_end_of_stream_without_close_is_1006():
    server, _ = shaken()
    server.eof()
    (closed,) = server.events()
    assert (closed.code, closed.clean, closed.by_peer) == (1006, False, True)
    assert server.want_close


# ---- time ----


def test_deadline_of_the_handshake_is_met():
    server = Engine.server(Config(handshake_timeout_ms=50))
    server.tick(1000)
    assert server.deadline == 1050
    server.tick(1049)
    assert list(server.events()) == []
    server.tick(1050)
    (closed,) = server.events()
    assert closed.error == ERR_TIMEOUT
    assert server.want_close
    assert server.deadline is None


def test_silence_is_pinged_and_then_ended():
    server, client = shaken(Config(ping_interval_ms=10, idle_timeout_ms=25))
    server.tick(9)
    assert not server.want_write
    server.tick(10)
    assert [type(event) for event in carry(server, client)] == [PingEvent]
    server.tick(24)
    assert list(server.events()) == []
    server.tick(25)
    (closed,) = server.events()
    assert closed.error == ERR_TIMEOUT


def test_deadline_is_none_when_nothing_is_timed():
    server, _ = shaken(Config(ping_interval_ms=None, idle_timeout_ms=None))
    assert server.deadline is None


@pytest.mark.parametrize("now", [-1, 1.5, "1", 2**64])
def test_tick_takes_milliseconds_that_are_whole(now):
    with pytest.raises((TypeError, OverflowError)):
        Engine.server().tick(now)


# ---- permessage-deflate ----


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_compressed_messages_arrive_as_they_were(mode):
    config = Config(deflate=mode, deflate_min_bytes=1)
    server, client = shaken(config, client_config=config)
    for source, target in ((server, client), (client, server)):
        for data in ("x" * 5000, bytes(5000)):
            source.send(data)
            assert source.buffered < 200
            assert carry(source, target) == [whole(data)]
        assert source.deflate()["agreed"] is True
        assert source.deflate()["sent_plain_bytes"] == 10000
        assert 0 < source.deflate()["sent_wire_bytes"] < 200
        assert source.deflate()["send_takeover"] is (mode == "dedicated")


def test_compress_argument_decides_for_one_message():
    server, client = shaken()
    text = "x" * 100  # less than is compressed by default
    sizes = {}
    for compress in (None, False, True, 1, 9):
        server.send(text, compress=compress)
        sizes[compress is not None and (compress, type(compress))] = server.buffered
        assert carry(server, client) == [whole(text)]
    none, no, yes, low, high = sizes.values()
    assert none == no == 102
    assert max(yes, low, high) < 50
    with pytest.raises(ValueError, match="10"):
        server.send(text, compress=10)


def test_compression_can_be_off():
    server, client = shaken(Config(deflate="off"))
    assert server.deflate()["agreed"] is False
    assert client.response_header("sec-websocket-extensions") is None
    server.send("x" * 1000)
    assert server.buffered > 1000


def test_accept_can_choose_the_compression_of_a_connection():
    server, client = Engine.server(), Engine.client("localhost")
    server.feed(client.output())
    next(server)
    with pytest.raises(ValueError, match="maybe"):
        server.accept(deflate="maybe")
    server.accept(deflate="off")
    assert server.deflate()["agreed"] is False


def test_events_can_be_matched():
    server, client = shaken()
    client.send("x")
    match carry(client, server):
        case [MessageEvent(data=data, first=True, last=True)]:
            assert data == "x"
        case other:
            pytest.fail(repr(other))
