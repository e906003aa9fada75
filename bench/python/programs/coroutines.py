"""A coroutine for each connection, with a library that has the API of `websockets`.

MODULE is libws, websockets or picows.websockets: the code is the same for each.
"""

import importlib

import program

# Compression and pings off, no limit on the message size: as in bench/peers.
OPTIONS = {"compression": None, "max_size": None, "ping_interval": None}


def echo_with(library):
    async def handler(connection):
        try:
            async for message in connection:
                await connection.send(message)
        except library.ConnectionClosedError:
            pass  # the load programs end by a reset; a traceback for each would be noise

    return handler


def receive_with(library):
    async def handler(connection):
        try:
            async for _ in connection:
                pass
        except library.ConnectionClosedError:
            pass

    return handler


def broadcast_with(library):
    connections = set()

    async def handler(connection):
        connections.add(connection)
        try:
            async for message in connection:
                library.broadcast(connections, message)
        except library.ConnectionClosedError:
            pass
        finally:
            connections.remove(connection)

    return handler


HANDLERS = {"echo": echo_with, "receive": receive_with, "broadcast": broadcast_with}


async def serve(library, arguments):
    handler = HANDLERS[arguments.what](library)
    listener = program.listening_socket(arguments.port)
    async with library.serve(handler, sock=listener, **OPTIONS):
        await program.until_stopped(arguments.port)


async def connect(library, arguments):
    async with library.connect(arguments.url, proxy=None, **OPTIONS) as connection:
        if arguments.what == "receive":
            async for _ in connection:
                pass
        message = program.payload(arguments)
        while True:
            await connection.send(message)
            await connection.recv()


def main():
    arguments = program.parse(__doc__.splitlines()[0], "module")
    library = importlib.import_module(arguments.module)
    play = connect if arguments.url else serve
    program.run(play(library, arguments), arguments.loop)


main()
