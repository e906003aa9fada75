"""WebSocket connections for asyncio: libws.asyncio.client, libws.asyncio.server."""
