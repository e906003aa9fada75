"""A chat room: what one says, all others hear.  chat.py [PORT]"""

import asyncio
import sys

from libws.asyncio.server import broadcast, serve

people = set()


async def chat(websocket):
    name = websocket.request.path.strip("/") or "somebody"
    people.add(websocket)
    try:
        broadcast(people, f"{name} is here")
        async for message in websocket:
            broadcast(people - {websocket}, f"{name}: {message}")
    finally:
        people.remove(websocket)
        broadcast(people, f"{name} has gone")


async def main(port):
    async with serve(chat, "localhost", port) as server:
        print("listening on port", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
    except KeyboardInterrupt:
        pass
