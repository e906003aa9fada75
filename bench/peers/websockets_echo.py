"""An echo server on the Python package `websockets`, as fast as its options allow.

Arguments: the port, and for TLS the files of the certificate and its key.
"""

import asyncio
import signal
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosedError:
        pass  # the load programs end by a reset; a traceback for each would be noise


def tls_context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def main(port, *tls_files):
    context = tls_context(*tls_files) if tls_files else None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(
        echo,
        "127.0.0.1",
        port,
        compression=None,
        max_size=None,
        ping_interval=None,
        ssl=context,
    ):
        print(f"{'wss' if context else 'ws'}://127.0.0.1:{port}/", flush=True)
        await stop.wait()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
