"""libws with its listeners: messages come from the turn of the loop, without a coroutine."""

import asyncio

import program
from libws import _core

CONFIG = _core.Config(
    max_message_bytes=None, ping_interval_ms=None, idle_timeout_ms=None, deflate="off"
)


class Echo:
    """For a server and, after the first message, for a client."""

    def on_message(self, connection, message):
        connection.send_now(message)


class Receive:
    def on_message(self, connection, message):
        pass


class Broadcast:
    everybody = set()

    def on_open(self, connection):
        self.everybody.add(connection)

    def on_close(self, connection):
        self.everybody.remove(connection)

    def on_message(self, connection, message):
        _core.broadcast(self.everybody, _core.Message(message))


LISTENERS = {"echo": Echo, "receive": Receive, "broadcast": Broadcast}


def new_loop():
    """A loop of libws behind one descriptor of the event loop."""
    events = asyncio.get_running_loop()
    loop = _core.Loop(events)
    events.add_reader(loop.fileno(), loop.dispatch)
    return loop


async def serve(arguments):
    listener = LISTENERS[arguments.what]()
    loop = new_loop()

    def on_request(request):
        request.accept(_core.Connection(loop, listener))

    server = _core.Server(loop, on_request, CONFIG)
    server.listen(program.listening_socket(arguments.port).detach())
    await program.until_stopped(arguments.port)
    server.close()


async def connect(arguments):
    loop = new_loop()
    listener = LISTENERS[arguments.what]()
    ended = asyncio.Event()
    if arguments.what == "echo":
        listener.on_open = lambda connection: connection.send_now(program.payload(arguments))
    listener.on_close = lambda connection: ended.set()
    client = _core.Client(_core.Connection(loop, listener), arguments.url, CONFIG)
    await ended.wait()
    client.close()


def main():
    arguments = program.parse(__doc__)
    program.run((connect if arguments.url else serve)(arguments), arguments.loop)


main()
