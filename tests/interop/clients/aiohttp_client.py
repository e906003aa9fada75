"""Clients of the Python package `aiohttp`, one for each line of standard input: see
test_deflate_clients.py."""
import asyncio
import sys

import aiohttp

from lines import serve_lines


async def run(case, messages):
    offer = case["offer"]
    compress = 0 if offer is None else offer.get("server_max_window_bits", 15)
    async with aiohttp.ClientSession() as session, \
            session.ws_connect(case["url"], compress=compress, max_msg_size=0) as ws:
        async def send():
            for pieces in messages:                  # it has no way to send fragments
                whole = pieces[0][:0].join(pieces)
                await (ws.send_str if isinstance(whole, str) else ws.send_bytes)(whole)
        sending = asyncio.create_task(send())
        for i, pieces in enumerate(messages):
            got = await ws.receive()
            if got.data != pieces[0][:0].join(pieces):
                return {"wrong": f"message {i}: {got.type}"}
        await sending
        await ws.close()
        return {"answer": ws._response.headers.get("Sec-WebSocket-Extensions"),
                "sends": (not ws.client_notakeover, ws.compress) if ws.compress else None}


asyncio.run(serve_lines(run, sys.stdin))
