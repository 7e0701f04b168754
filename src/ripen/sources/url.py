"""A public address."""

from pathlib import Path

import pooch
import requests

from ripen.atomic import replacing
from ripen.errors import SourceError


def fetch(url: str, known_hash: str, target: Path) -> None:
    """Download a file.

    Parameters
    ----------
    url : str
    known_hash : str
        ``algorithm:hexadecimal``, which its bytes must have.
    target : Path
        Written whole or not at all.

    Raises
    ------
    SourceError
        If the address does not answer, or gives other bytes.
    """
    try:
        with replacing(target) as temporary:
            pooch.retrieve(
                url, known_hash, fname=temporary.name, path=temporary.parent, progressbar=True
            )
    except requests.RequestException as error:
        raise SourceError(f"{url} cannot be had: {_reason(error)}") from None
    except ValueError as error:  # pooch's word for other bytes
        raise SourceError(f"{url}: {' '.join(str(error).split())}") from None


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    return "no connection" if isinstance(error, requests.ConnectionError) else str(error)
