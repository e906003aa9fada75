"""An echo server on the Python package `websockets`, as fast as its options allow."""

import asyncio
import signal
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosedError:
        pass  # the load programs end by a reset; a traceback for each would be noise


async def main(port):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(
        echo, "127.0.0.1", port, compression=None, max_size=None, ping_interval=None
    ):
        print(f"ws://127.0.0.1:{port}/", flush=True)
        await stop.wait()


asyncio.run(main(int(sys.argv[1])))
