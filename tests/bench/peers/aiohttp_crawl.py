"""The peer aiohttp: as many workers as connections fetch the addresses in a file; nothing is kept or checked.

python aiohttp_crawl.py ADDRESSES CONNECTIONS    prints the bytes that came
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp


async def fetch(session: aiohttp.ClientSession, addresses: Iterator[str]) -> int:
    """Take addresses until there are none; returns the bytes that came."""
    length = 0
    for address in addresses:
        async with session.get(address) as response:
            response.raise_for_status()
            length += len(await response.read())
    return length


async def main(addresses: list[str], connections: int) -> None:
    """Fetch everything over one pool of connections."""
    waiting = iter(addresses)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        print(sum(await asyncio.gather(*(fetch(session, waiting) for _ in range(connections)))))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text("utf-8").split(), int(sys.argv[2])))
