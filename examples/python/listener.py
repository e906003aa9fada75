"""An echo server of callbacks, for all the speed there is: listener.py [PORT]"""

import asyncio
import sys

from libws import core


class Echo(core.Listener):
    def on_message(self, connection, message):
        if connection.send_now(message):
            connection.pause()  # more is queued than the peer reads: take no more from it

    def on_drain(self, connection):
        connection.resume()


async def main(port):
    async with await core.listen(lambda request: Echo(), "localhost", port) as server:
        print("listening on port", server.port, flush=True)
        await server.wait_closed()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
    except KeyboardInterrupt:
        pass
