"""Kaggle's own client: signing in, and its errors turned into ours.

The package `kaggle` signs in when it is imported, prints while it does, and exits the process when
it fails. It is therefore imported here only, on demand and with its output suppressed. Our messages
are made from Kaggle's responses and never contain what we sent.
"""

import base64
import contextlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from ripen.core.errors import SourceError
from ripen.data.sources import download
from ripen.data.sources.download import Interrupted, Unreachable

T = TypeVar("T")
SITE = "https://www.kaggle.com"
KAGGLE = "Kaggle"
_TOKEN = (
    f"Make an API token at {SITE}/settings/api and put it into ~/.kaggle/access_token or the "
    "variable KAGGLE_API_TOKEN (an older key: ~/.kaggle/kaggle.json, or KAGGLE_USERNAME and "
    "KAGGLE_KEY)"
)
_INSTALL = "Install it: .venv/bin/pip install -c constraints.txt -e '.[kaggle]'"
_LONGEST_MESSAGE = 300
_VERBOSE = ("VERBOSE", "VERBOSE_OUTPUT")
"""Variables that make the client print each request, the token included."""


def connect() -> Any:
    """Return Kaggle's client, signed in.

    Returns
    -------
    kaggle.api.kaggle_api_extended.KaggleApi

    Raises
    ------
    SourceError
        If the client is not installed, finds no credentials, or cannot reach Kaggle.
    """
    with _quiet():
        try:
            from kaggle.api.kaggle_api_extended import KaggleApi
        except ImportError:
            raise SourceError("Kaggle's client is not installed", _INSTALL) from None
        except OSError as error:  # importing it creates its folder
            raise SourceError(f"Kaggle's client cannot start: {error.strerror}") from None

    class WithTimeout(KaggleApi):  # type: ignore[misc]
        """The client with a timeout, without which it may wait forever."""

        def build_kaggle_client(self) -> Any:
            client = super().build_kaggle_client()
            http = client.http_client()
            http._init_session()
            for scheme in ("https://", "http://"):
                http._session.mount(scheme, _TimeoutAdapter())
            return client

    api = WithTimeout()
    retried(lambda: _sign_in(api))
    return api


def _sign_in(api: Any) -> None:
    with explained():
        try:
            api.authenticate()
        except SystemExit:
            raise _not_signed_in() from None


class _TimeoutAdapter(HTTPAdapter):
    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **settings: Any
    ) -> requests.Response:
        return super().send(request, **settings | {"timeout": download.TIMEOUT})


def retried(call: Callable[[], T]) -> T:
    """Return the result of a call, repeated a few times when it is interrupted.

    Raises
    ------
    SourceError
        If every attempt is interrupted.
    """
    waits = iter(download.WAITS)
    while True:
        try:
            return call()
        except Interrupted as stop:
            wait = next(waits, None)
            if wait is None or isinstance(stop, Unreachable):
                raise SourceError(stop.reason, stop.advice) from None
            time.sleep(wait if stop.wait is None else stop.wait)


@contextlib.contextmanager
def explained(advice: Mapping[int, str] | None = None) -> Iterator[None]:
    """Silence the client during a request, and turn its errors into ours.

    Parameters
    ----------
    advice : mapping of int to str
        What to do, by HTTP status, beside the general advice.

    Raises
    ------
    SourceError
        If Kaggle refuses.
    Interrupted
        If Kaggle is unreachable or busy.
    """
    by_status = {401: f"The token or key is not valid. {_TOKEN}"} | dict(advice or {})
    try:
        with _quiet():
            yield
    except requests.HTTPError as error:
        raise _refusal(error, by_status) from None
    except requests.JSONDecodeError:
        raise SourceError(f"{KAGGLE} sends a response that is not JSON") from None
    except requests.RequestException as error:
        raise download.request_error(error, KAGGLE) from None


def advice(competition: str) -> dict[int, str]:
    """Return what to do when Kaggle refuses a request about a competition, by HTTP status."""
    return {
        403: f"Accept the rules at {SITE}/c/{competition}/rules as the owner of the token",
        404: f"Check the names of the competition and its files at {SITE}/c/{competition}/data",
    }


def _refusal(error: requests.HTTPError, advice: Mapping[int, str]) -> SourceError | Interrupted:
    """Return our error for Kaggle's: its status, its message if it sends one, and our advice."""
    response = error.response
    if response is None:
        return SourceError(f"{KAGGLE} refuses the request")
    try:
        body = response.json()
    except requests.RequestException:
        body = {}
    body = body if isinstance(body, dict) else {}
    status = body.get("code", response.status_code)
    message = " ".join(str(body.get("message", response.reason)).split())[:_LONGEST_MESSAGE]
    reason = f"{KAGGLE} says {status} {_redacted(message, response.request)}".rstrip(" .")
    return download.status_error(int(status), reason, response, advice)


def _redacted(text: str, request: requests.PreparedRequest) -> str:
    """Return a server's message without our credentials, should it repeat them."""
    _, _, sent = str(request.headers.get("Authorization", "")).partition(" ")
    secrets = [sent]
    # Basic authentication encodes "user:key": the key alone may be repeated, too.
    with contextlib.suppress(ValueError):
        secrets += base64.b64decode(sent, validate=True).decode().split(":")[1:]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def _not_signed_in() -> SourceError:
    from kagglesdk import get_access_token_from_env

    token, _ = get_access_token_from_env()
    if token:
        return SourceError("Kaggle refuses the access token", f"It may have expired. {_TOKEN}")
    return SourceError("no Kaggle credentials were found", _TOKEN)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the client's output, and its and urllib3's log messages below warnings."""
    hidden = {name: os.environ.pop(name) for name in _VERBOSE if name in os.environ}
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
        os.environ.update(hidden)
