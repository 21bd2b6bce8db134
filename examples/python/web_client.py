"""A web client that asks for each page once, however many want it at the same time.

The client is a coroutine whose results are kept in a store in a directory: they are there again when
the program is started again. A server of its own on the loopback interface stands for the web, and
counts what it is asked.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import libkv


async def fetch(port: int, path: str) -> str:
    """Asks the server for a page, as HTTP/1.0 does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[2].decode()


class Web:
    """The server: answers with the path, and counts."""

    def __init__(self) -> None:
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        path = (await reader.readline()).split()[1].decode()
        self.requests += 1
        writer.write(f"HTTP/1.0 200 OK\r\n\r\nthe page {path}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def visit(store: libkv.Store, web: Web) -> None:
    """Asks for a page 50 times at once."""
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    # For an hour the page is fresh; for a day after that it is still shown while it is fetched anew.
    @store.memoize(ttl="1h", stale_ttl="24h", serializer="str", name="page")
    async def page(path: str) -> str:
        return await fetch(port, path)

    pages: list[Any] = await asyncio.gather(*(page("/news") for _ in range(50)))
    print(len(pages), "callers got", set(pages))
    server.close()
    await server.wait_closed()


def main() -> None:
    web = Web()
    with tempfile.TemporaryDirectory() as directory:
        for run in ("first", "second"):
            with libkv.open(directory) as store:
                asyncio.run(visit(store, web))
            print("requests to the server after the", run, "run:", web.requests)


if __name__ == "__main__":
    main()
