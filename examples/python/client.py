"""Send each argument and print what comes back: client.py URL MESSAGE..."""

import asyncio
import sys

from libws.asyncio.client import connect


async def main(url, messages):
    async with connect(url) as websocket:
        for message in messages:
            await websocket.send(message)
            print(await websocket.recv())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
