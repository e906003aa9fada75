"""Objects of the extension module that end in unusual order, or were never begun."""

import gc
import os
import socket
import subprocess
import sys
import textwrap
import weakref

import pytest
from libws import _core


def in_a_new_interpreter(code, *options):
    """A crash must not take the other tests along: what it printed."""
    done = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr


@pytest.mark.parametrize("call", ["recv()", "send('x')", "_wait_drained()"])
def test_coroutine_never_awaited_is_reported_when_warnings_are_errors(call):
    told = in_a_new_interpreter(
        f"""
        from libws import _core
        _core.Connection(_core.Loop()).{call}
        print("alive")
        """,
        "-W",
        "error",
    )
    assert told[0] == "alive\n"
    assert told[1].count("was never awaited") == 1


@pytest.mark.parametrize("name", ["recv", "_recv_chunk", "__anext__", "_wait_drained"])
def test_receiving_from_a_connection_without_init_is_refused(name):
    told = in_a_new_interpreter(
        f"""
        from libws import _core
        coroutine = _core.Connection.__new__(_core.Connection).{name}()
        try:
            coroutine.send(None)
        except RuntimeError:
            print("refused")
        except StopIteration:
            print("nothing to wait for")
        """
    )
    assert told[0] == ("nothing to wait for\n" if name == "_wait_drained" else "refused\n")


@pytest.mark.parametrize("limits", [(0, 0), (1, 0), (1, 1), (16, 16)])
def test_max_queue_with_a_low_mark_up_to_the_high_one_is_taken(limits):
    _core.Connection(_core.Loop(), None, limits)


@pytest.mark.parametrize("limits", [(0, 1), (15, 16)])
def test_max_queue_with_a_low_mark_above_the_high_one_is_refused(limits):
    with pytest.raises(ValueError, match="max_queue"):
        _core.Connection(_core.Loop(), None, limits)


def run(loop, condition):
    for _ in range(1000):
        if condition():
            return
        loop.wait(10)
        loop.dispatch()
    raise AssertionError("it did not happen")


class Accepting:
    """A server whose connections have a listener; `on_request` may be replaced."""

    def __init__(self, loop, listener):
        self.loop, self.listener = loop, listener
        self.accepted = []
        self.native = _core.Server(loop, self.on_request, _core.Config())
        sock = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://127.0.0.1:%d/" % sock.getsockname()[1]
        self.listening = self.native.listen(sock.detach())

    def on_request(self, request):
        connection = _core.Connection(self.loop, self.listener)
        self.accepted.append(connection)
        request.accept(connection)


class Closing:
    """A listener that calls what it was told to at one of the events."""

    def __init__(self, event):
        self.called = 0
        self.calls = []
        setattr(self, event, self.act)
        if event != "on_message":
            self.on_message = lambda connection, message: None

    def act(self, connection, *_):
        self.called += 1
        for call in self.calls:
            call(connection)


EVENTS = ["on_open", "on_message", "on_pong", "on_close"]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("side", ["client", "server"])
def test_everything_closed_inside_a_callback(event, side):
    loop = _core.Loop()
    theirs, ours = Closing(event), Closing("on_drain")
    server = Accepting(loop, theirs if side == "server" else ours)
    connections = [_core.Connection(loop, ours if side == "server" else theirs)]
    clients = [_core.Client(connections[0], server.url, _core.Config())]

    def close_all(_connection):
        clients.pop().close()
        connections.clear()
        server.accepted.clear()
        server.listening.close()
        server.native.close()
        gc.collect()

    theirs.calls = [close_all, lambda connection: connection.abort()]
    if event != "on_open":
        run(loop, lambda: server.accepted and server.accepted[0].state == _core.OPEN)
        run(loop, lambda: connections[0].state == _core.OPEN)
        if event == "on_close":
            connections[0].close_now()
        for each in (connections[0], server.accepted[0]):
            if each.state == _core.OPEN:
                each.send_now("x")
                each.ping_now(b"x")
    run(loop, lambda: theirs.called and loop.connections == 0)
    loop.close()


@pytest.mark.parametrize("event", EVENTS)
def test_loop_closed_inside_a_callback_is_refused(event):
    loop = _core.Loop()
    listener = Closing(event)
    server = Accepting(loop, listener)
    connection = _core.Connection(loop)
    client = _core.Client(connection, server.url, _core.Config())
    refused = []

    def close(_connection):
        with pytest.raises(_core.Error) as told:
            loop.close()
        refused.append(told.value.code)

    listener.calls = [close]
    run(loop, lambda: connection.state == _core.OPEN and server.accepted[0].state == _core.OPEN)
    connection.send_now("x")
    server.accepted[0].ping_now()
    run(loop, lambda: listener.called or event == "on_close")
    connection.close_now()
    run(loop, lambda: loop.connections == 0)
    assert refused == [_core.ERR_REENTRANT]
    client.close()
    loop.close()


def test_everything_closed_inside_on_close_of_a_loop_that_is_closed():
    loop = _core.Loop()
    listener = Closing("on_close")
    server = Accepting(loop, listener)
    connection = _core.Connection(loop, listener)
    client = _core.Client(connection, server.url, _core.Config())
    run(loop, lambda: connection.state == _core.OPEN and server.accepted[0].state == _core.OPEN)
    listener.calls = [
        lambda _: server.listening.close(),
        lambda _: server.native.close(),
        lambda _: client.close(),
        lambda each: each.abort(),
    ]
    loop.close()
    assert listener.called == 2
    assert loop.closed and loop.connections == 0


def test_server_dropped_inside_its_callback_that_fails(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: told.append(each.exc_type))
    loop = _core.Loop()
    sock = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(sock.getsockname())
    servers = []

    def on_request(request):
        servers.clear()
        raise KeyError("x")

    servers.append(_core.Server(loop, on_request, _core.Config()))
    servers[0].listen(sock.detach())
    del on_request
    peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    run(loop, lambda: told)
    assert told == [KeyError]
    peer.close()
    loop.close()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("event", EVENTS)
def test_interrupt_in_a_callback_leaves_dispatch_once(kind, event):
    loop = _core.Loop()
    listener = Closing(event)
    server = Accepting(loop, listener)
    connection = _core.Connection(loop)
    client = _core.Client(connection, server.url, _core.Config())

    def interrupt(_connection):
        raise kind

    listener.calls = [interrupt]

    def until_called():
        run(loop, lambda: connection.state == _core.OPEN)
        run(loop, lambda: server.accepted[0].state == _core.OPEN)
        connection.send_now("x")
        server.accepted[0].ping_now()
        if event == "on_close":
            connection.close_now()
        run(loop, lambda: listener.called)

    with pytest.raises(kind):
        until_called()
    run(loop, lambda: loop.connections == 0 or event in ("on_close",) or connection.abort())
    client.close()
    loop.close()
    assert listener.called == 1


@pytest.mark.parametrize("what", ["nothing", "server", "client", "connection"])
@pytest.mark.filterwarnings("ignore:unclosed connection:ResourceWarning")
def test_loop_forgotten_with_something_open_is_collected(what):
    class Holder:
        def on_request(self, request):
            connection = _core.Connection(self.loop)
            self.accepted = connection
            request.accept(connection)

    holder = Holder()
    holder.loop = loop = _core.Loop()
    if what != "nothing":
        holder.native = _core.Server(loop, holder.on_request, _core.Config())
        sock = socket.create_server(("127.0.0.1", 0))
        where = sock.getsockname()
        holder.listening = holder.native.listen(sock.detach())
    if what in ("client", "connection"):
        holder.connection = _core.Connection(loop)
        holder.connection.notify = holder.on_request
        holder.client = _core.Client(
            holder.connection, "ws://127.0.0.1:%d/" % where[1], _core.Config()
        )
    if what == "connection":
        run(loop, lambda: holder.connection.state == _core.OPEN and holder.accepted.state == 1)
        holder.accepted._begin_fragments(None)
        holder.accepted._wait_drained().close()
        holder.accepted._end_fragments()
    known = [weakref.ref(loop), weakref.ref(holder)]
    loop = holder = None
    gc.collect()
    assert [each() for each in known] == [None, None]


FORKING = """
    import os, socket, sys
    from libws import _core

    os.register_at_fork(after_in_child=_core.after_fork)
    loop = _core.Loop()
    accepted = []

    def on_request(request):
        connection = _core.Connection(loop)
        connection.notify = lambda: fork() if len(forked) == 2 else forked.append(0)
        accepted.append(connection)
        request.accept(connection)

    def fork():
        if os.fork() == 0:
            sys.exit(7)
        forked.append(0)

    def turns(condition):
        while not condition():
            loop.wait(10)
            loop.dispatch()

    forked = [0] * 9  # not yet
    server = _core.Server(loop, on_request, _core.Config())
    sock = socket.create_server(("127.0.0.1", 0))
    url = "ws://127.0.0.1:%d/" % sock.getsockname()[1]
    server.listen(sock.detach())
    clients = [_core.Connection(loop) for _ in range(5)]
    opening = [_core.Client(each, url, _core.Config()) for each in clients]
    turns(lambda: len(accepted) == 5 and all(c.state == 1 for c in accepted + clients))
    for client in clients:
        client.send_now("x")
    forked.clear()
    try:
        turns(lambda: all(c.queued for c in accepted))
    except SystemExit as left:
        # This list, and the argument of getrefcount; nothing of the loop any more.
        counts = {sys.getrefcount(accepted[i]) for i in range(5)}
        states = {each.state for each in accepted}
        print(counts, states, flush=True)
        os._exit(left.code)
    print("child", os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_forked_in_the_second_half_of_a_turn_owns_its_connections_once():
    told = in_a_new_interpreter(FORKING, "-W", "ignore")
    assert told[0] == "{2} {3}\nchild 7\n"
