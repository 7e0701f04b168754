"""A public address."""

from pathlib import Path

import requests

from ripen.core.errors import SourceError
from ripen.data.sources import web
from ripen.data.sources.item import Item
from ripen.data.sources.partial import Stream, receive

_ADVICE = {
    401: "That address wants an account: download the file there yourself",
    403: "That address refuses: download the file in a browser",
    404: "It has gone from there: look for another address",
    410: "It has gone from there: look for another address",
}


def fetch(item: Item, target: Path) -> None:
    """Download a file from its address.

    Parameters
    ----------
    item : Item
    target : Path
        Written whole or not at all.

    Raises
    ------
    SourceError
        If the item has no address, or the address does not answer or gives other bytes.
    DataError
        If the disk is full.
    """
    if item.url is None:
        raise SourceError("no public address is known")
    receive(item, target, web.shown(item.url), _Address(item.url).open)


class _Address:
    def __init__(self, url: str) -> None:
        self._url = url

    def open(self, offset: int, version: str) -> Stream:
        where = web.shown(self._url)
        try:
            response = requests.get(
                self._url, headers=web.headers(offset, version), stream=True, timeout=web.TIMEOUT
            )
        except requests.RequestException as error:
            raise web.failure(error, where) from None
        web.check(response, where, _ADVICE)
        return web.stream(response, where, version) or self.open(0, "")
