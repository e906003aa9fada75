"""An echo server on the Python package `websockets`, as fast as its options allow.

Arguments: the port, and for TLS the files of the certificate and its key, or for compression
`shared` or `dedicated` and the level.
"""

import asyncio
import signal
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


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


def compression(mode, level):
    forgets = mode == "shared"
    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=forgets,
        client_no_context_takeover=forgets,
        server_max_window_bits=None if forgets else 12,
        compress_settings={"level": int(level), "memLevel": 8 if forgets else 5},
    )


async def main(port, *words):
    compresses = words[:1] in (("shared",), ("dedicated",))
    context = tls_context(*words) if words and not compresses else None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(
        echo,
        "127.0.0.1",
        port,
        compression=None,
        extensions=[compression(*words)] if compresses else None,
        max_size=None,
        ping_interval=None,
        ssl=context,
    ):
        print(f"{'wss' if context else 'ws'}://127.0.0.1:{port}/", flush=True)
        await stop.wait()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
