"""Source `url`: a public web address, such as ``https://example.org/data.zip``."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ripen.data.sources import download
from ripen.data.sources.download import Stream, receive
from ripen.data.sources.source import Item, register, without_secrets

_ADVICE = {
    401: "The address needs an account: download the file there yourself",
    403: "The server refuses this client: download the file in a browser",
    404: "The file has moved or was removed: look for another address",
    410: "The file has moved or was removed: look for another address",
}


def mirrored(url: str) -> Path:
    """Return the path of an address in a mirror; the branch of a GitHub address is left out.

    >>> mirrored("https://github.com/owner/name/raw/master/folder/file").as_posix()
    'github.com/owner/name/folder/file'
    """
    parts = urlsplit(url)
    without_user = parts.netloc.rpartition("@")[2] + parts.path
    return Path(re.sub(r"/(raw|blob)/[^/]+/", "/", without_user, count=1))


@register("url", mirrored)
def fetch(item: Item, target: Path) -> None:
    """Download a file from its address.

    Raises
    ------
    SourceError
        If the item has no address, or the server does not answer or sends other bytes.
    DataError
        If the disk is full.
    """
    url = item.address("url")
    receive(item, target, without_secrets(url), _Address(url).open)


class _Address:
    def __init__(self, url: str) -> None:
        self._url = url

    def open(self, offset: int, version: str) -> Stream:
        where = without_secrets(self._url)
        try:
            response = requests.get(
                self._url,
                headers=download.range_headers(offset, version),
                stream=True,
                timeout=download.TIMEOUT,
            )
        except download.REQUEST_ERRORS as error:
            raise download.request_error(error, where) from None
        download.check_status(response, where, _ADVICE)
        # None means that the range does not fit the server's file: start again from byte 0.
        return download.as_stream(response, where, version) or self.open(0, "")
