"""The peer Scrapy: asks for the addresses in a file and writes every body to bodies.jsonl.

python scrapy_crawl.py ADDRESSES CONNECTIONS
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess

ADDRESSES, CONNECTIONS = Path(sys.argv[1]), int(sys.argv[2])


class Stations(scrapy.Spider):
    """One request an address; the bodies go to a JSON lines feed, as a Scrapy project would keep them."""

    name = "stations"

    async def start(self) -> Any:
        for address in ADDRESSES.read_text("utf-8").split():
            yield scrapy.Request(address, dont_filter=True)

    def parse(self, response: Any) -> Iterator[dict[str, str]]:
        yield {"url": response.url, "body": response.text}


process = CrawlerProcess(
    {
        "CONCURRENT_REQUESTS": CONNECTIONS,
        "CONCURRENT_REQUESTS_PER_DOMAIN": CONNECTIONS,
        "FEEDS": {"bodies.jsonl": {"format": "jsonlines", "overwrite": True}},
        "LOG_ENABLED": False,
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
    }
)
process.crawl(Stations)
process.start()
