"""Clients of the Python package `websockets`, one for each line of standard input: see
test_deflate_clients.py."""
import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from lines import serve_lines


async def run(case, messages):
    offer = case["offer"]
    factory = ClientPerMessageDeflateFactory(
        **{"client_max_window_bits": None, **offer}) if offer is not None else None
    async with connect(case["url"], proxy=None, compression=None, max_size=None, close_timeout=5,
                       extensions=[factory] if factory else None) as c:
        async def send():
            for pieces in messages:
                await c.send(pieces if len(pieces) > 1 else pieces[0])
        sending = asyncio.create_task(send())
        for i, pieces in enumerate(messages):
            if await c.recv() != pieces[0][:0].join(pieces):
                return {"wrong": f"message {i}"}
        await sending
        deflate = next(iter(c.protocol.extensions), None)
        sends = deflate and (not deflate.local_no_context_takeover, deflate.local_max_window_bits)
        return {"answer": c.response.headers.get("Sec-WebSocket-Extensions"), "sends": sends}


asyncio.run(serve_lines(run, sys.stdin))
