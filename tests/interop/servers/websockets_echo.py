"""An echo server of the Python package `websockets`: PORT [CERT KEY]."""
import asyncio
import ssl
import sys

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def choose(_, offered):
    return "chat" if "chat" in offered else None     # `subprotocols` would refuse who offers none


async def main(port, *certificate):
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    async with serve(echo, "127.0.0.1", int(port), ssl=context, max_size=None,
                     select_subprotocol=choose) as server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
