"""HTTP for the sources: a response as a stream to go on with, and what its errors mean."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import MaxRetryError

from ripen.core.errors import SourceError
from ripen.data.sources.partial import AGAIN, Interrupted, Stream, Unreachable

TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for each further byte."""
LONGEST_WAIT = 30.0
"""Seconds that a server may ask to wait before ripen gives up instead."""
CHUNK = 1 << 16
"""Of a connection that is cut, less than this is lost."""
NO_CONNECTION = "Connect to the network, or to its proxy (https_proxy)"


def shown(url: str) -> str:
    """Return an address without what may be secret: the user's part and the query.

    >>> shown("https://me:pw@example.org/x.zip?Signature=abc")
    'https://example.org/x.zip'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def headers(offset: int, version: str) -> dict[str, str]:
    """Return the headers that ask for the bytes from `offset` on, of the same version only."""
    # A compressed answer has positions and a size of its own.
    asked = {"Accept-Encoding": "identity"}
    if offset:
        asked |= {"Range": f"bytes={offset}-", "If-Range": version}
    return asked


def stream(response: requests.Response, where: str, version: str) -> Stream | None:
    """Return what a good response holds, None where it has not what was asked for any more.

    Parameters
    ----------
    response : Response
        With its body still to come.
    where : str
        Whom it is from, for messages.
    version : str
        That of the bytes that are here already.
    """
    sent = response.headers
    range_ = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", sent.get("Content-Range", ""))
    if response.status_code == 416:
        asked = re.fullmatch(r"bytes=(\d+)-", str(response.request.headers.get("Range", "")))
        if not (asked and range_ and asked[1] == range_[2]):
            response.close()
            return None
        whole = int(asked[1])  # All of it is here.
        return Stream(whole, whole, version, iter(()), response.close)
    length = sent.get("Content-Length")
    start, total = 0, None if length is None else int(length)
    if response.status_code == 206 and range_ and range_[1]:
        start = int(range_[1])
        total = None if range_[2] == "*" else int(range_[2])
    version = sent.get("ETag") or sent.get("Last-Modified") or ""
    return Stream(start, total, version, _chunks(response, where), response.close)


def check(response: requests.Response, where: str, advice: Mapping[int, str]) -> None:
    """Raise what a response's status means.

    Parameters
    ----------
    response : Response
    where : str
        Whom it is from.
    advice : mapping of int to str
        What to do, by status.

    Raises
    ------
    SourceError
        If the server says no.
    Interrupted
        If it is busy, and may say yes in a moment.
    """
    if response.status_code >= 400 and response.status_code != 416:
        response.close()
        reason = f"{where} says {response.status_code} {response.reason}".rstrip()
        raise refusal(response.status_code, reason, response, advice)


def refusal(
    status: int, reason: str, response: requests.Response, advice: Mapping[int, str]
) -> SourceError | Interrupted:
    """Return the error of a status: final, or one after which to come again."""
    if status != 429 and status < 500:
        return SourceError(reason, advice.get(status, ""))
    asked = response.headers.get("Retry-After", "")
    wait = float(asked) if asked.isdecimal() else None
    later = "Try again in a few minutes" if wait is None else f"Try again in {wait:.0f} seconds"
    if wait is not None and wait > LONGEST_WAIT:
        return SourceError(reason, later)
    return Interrupted(reason, later, wait)


def failure(error: requests.RequestException, where: str) -> Interrupted | SourceError:
    """Return what a failed request means: no connection, a cut one, or an impossible address."""
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError(f"{where}: its certificate is not trusted", NO_CONNECTION)
    if isinstance(error, requests.Timeout):
        return Interrupted(f"{where} did not answer in time", NO_CONNECTION)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Interrupted(f"{where}: the connection was cut", AGAIN)
    if isinstance(error, requests.ConnectionError):
        # urllib3 never came through, or came through and was cut.
        if error.args and isinstance(error.args[0], MaxRetryError):
            return Unreachable(f"{where}: no connection", NO_CONNECTION)
        return Interrupted(f"{where}: the connection was cut", AGAIN)
    return SourceError(f"{where} cannot be asked: {type(error).__name__}")


def _chunks(response: requests.Response, where: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK)
    except requests.RequestException:
        raise Interrupted(f"{where}: the connection was cut", AGAIN) from None
