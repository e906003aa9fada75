"""WebSocket connections for programs with threads; names and meaning as in libws.asyncio."""
