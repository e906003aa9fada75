"""An echo server of the Python package `websockets`: PORT [CERT KEY].

The query of a URL chooses the compression of the connection, as in
?deflate&client_max_window_bits=9; without one it is the default of the package.  With &parts
messages go back in three pieces."""
import asyncio
import ssl
import sys
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


def set_options(connection, request):
    options = dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))
    connection.parts = options.pop("parts", None) is not None
    if options.pop("deflate", None) is not None:
        numbers = {name: int(value or 1) for name, value in options.items()}
        connection.protocol.available_extensions = [ServerPerMessageDeflateFactory(**numbers)]


async def echo(connection):
    async for message in connection:
        if connection.parts:
            third = len(message) // 3
            message = [message[:third], message[third:third], message[third:]]
        await connection.send(message)


def choose(_, offered):
    return "chat" if "chat" in offered else None     # `subprotocols` would refuse who offers none


async def main(port, *certificate):
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    async with serve(echo, "127.0.0.1", int(port), ssl=context, max_size=None,
                     process_request=set_options, select_subprotocol=choose) as server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
