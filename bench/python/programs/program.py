"""What the programs of this folder share: their arguments, the event loop, how they end.

Each is a server or a client, by its arguments:

    PROGRAM echo|receive|broadcast --port PORT    prints its URL when it is ready, ends on SIGTERM
    PROGRAM echo|receive URL                      ends with its connection

`echo`: a server returns every message, a client sends one whenever it got the last one back.
`receive`: messages are read and dropped.  `broadcast`: a server sends each message to all.
"""

import argparse
import asyncio
import resource
import signal
import socket

def parse(description, *names, whats=("echo", "receive", "broadcast")):
    """The arguments, and those of `names` as words in front of them."""
    parser = argparse.ArgumentParser(description=description)
    for name in names:
        parser.add_argument(name)
    parser.add_argument("what", choices=whats)
    parser.add_argument("--port", type=int, help="be a server on 127.0.0.1")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--size", type=int, default=20, help="of a message a client sends [20]")
    parser.add_argument("--text", action="store_true", help="clients send text")
    parser.add_argument("url", nargs="?", help="be a client of this server")
    arguments = parser.parse_intermixed_args()
    if (arguments.port is None) == (arguments.url is None):
        parser.error("either --port or a URL")
    if arguments.url and arguments.what == "broadcast":
        parser.error("only servers broadcast")
    return arguments


def payload(arguments):
    return "x" * arguments.size if arguments.text else b"x" * arguments.size


def run(coroutine, kind):
    """Runs it on that kind of event loop, with as many descriptors as the machine allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if kind == "asyncio":
        return asyncio.run(coroutine)
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def until_stopped(port):
    """Says where the server is, and waits for the signal to end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(f"ws://127.0.0.1:{port}/", flush=True)
    await stop.wait()


def listening_socket(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    return listener
