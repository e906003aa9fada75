"""aiohttp: a coroutine for each connection."""

import aiohttp
import program
from aiohttp import web

OPTIONS = {"compress": 0, "max_msg_size": 0, "autoping": True, "heartbeat": None}


async def send(connection, message):
    if message.type == aiohttp.WSMsgType.TEXT:
        await connection.send_str(message.data)
    else:
        await connection.send_bytes(message.data)


async def echo(connection):
    async for message in connection:
        await send(connection, message)


async def receive(connection):
    async for _ in connection:
        pass


EVERYBODY = set()


async def broadcast(connection):
    EVERYBODY.add(connection)
    try:
        async for message in connection:
            for other in EVERYBODY:
                await send(other, message)
    finally:
        EVERYBODY.remove(connection)


async def serve(arguments):
    talk = {"echo": echo, "receive": receive, "broadcast": broadcast}[arguments.what]

    async def handler(request):
        connection = web.WebSocketResponse(**OPTIONS)
        await connection.prepare(request)
        await talk(connection)
        return connection

    application = web.Application()
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.SockSite(runner, program.listening_socket(arguments.port))
    await site.start()
    await program.until_stopped(arguments.port)


async def connect(arguments):
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(arguments.url, **OPTIONS) as connection:
            if arguments.what == "receive":
                return await receive(connection)
            message = program.payload(arguments)
            while True:
                if arguments.text:
                    await connection.send_str(message)
                else:
                    await connection.send_bytes(message)
                await connection.receive()


def main():
    arguments = program.parse(__doc__)
    program.run((connect if arguments.url else serve)(arguments), arguments.loop)


main()
