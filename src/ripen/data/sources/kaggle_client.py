"""Kaggle's own client, as far as a user may need it: signing in, and what its errors mean.

The package `kaggle` signs in when it is imported, prints on the way and ends the process when it
cannot; so it is imported here alone, when asked for, and spoken to with its output held back. What
a user sees is made of Kaggle's status codes, never of what was sent.
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
from ripen.data.sources import partial, web
from ripen.data.sources.partial import Interrupted, Unreachable

T = TypeVar("T")
SITE = "https://www.kaggle.com"
KAGGLE = "Kaggle"
_TOKEN = (
    f"Make an API token at {SITE}/settings/api and put it into ~/.kaggle/access_token or the "
    "variable KAGGLE_API_TOKEN (an older key: ~/.kaggle/kaggle.json, or KAGGLE_USERNAME and "
    "KAGGLE_KEY)"
)
_INSTALL = "Install it: .venv/bin/pip install -c constraints.txt -e '.[kaggle]'"
_LONGEST_WORDS = 300
_TALKATIVE = ("VERBOSE", "VERBOSE_OUTPUT")
"""Variables on which the client prints each request, the token included."""


def connect() -> Any:
    """Return Kaggle's client, signed in.

    Returns
    -------
    KaggleApi
        Of the package `kaggle`.

    Raises
    ------
    SourceError
        If it is not installed, finds no credentials, or cannot reach Kaggle.
    """
    with _quiet():
        try:
            from kaggle.api.kaggle_api_extended import KaggleApi
        except ImportError:
            raise SourceError("Kaggle's client is not installed", _INSTALL) from None
        except OSError as error:  # It makes its folder when it is imported.
            raise SourceError(f"Kaggle's client cannot start: {error.strerror}") from None

    class Patient(KaggleApi):  # type: ignore[misc]
        """The client, which of itself waits for an answer for ever."""

        def build_kaggle_client(self) -> Any:
            client = super().build_kaggle_client()
            http = client.http_client()
            http._init_session()
            for scheme in ("https://", "http://"):
                http._session.mount(scheme, _Timed())
            return client

    api = Patient()
    retried(lambda: _sign_in(api))
    return api


def _sign_in(api: Any) -> None:
    with explained():
        try:
            api.authenticate()
        except SystemExit:
            raise _not_signed_in() from None


class _Timed(HTTPAdapter):
    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **settings: Any
    ) -> requests.Response:
        return super().send(request, **settings | {"timeout": web.TIMEOUT})


def retried(call: Callable[[], T]) -> T:
    """Return what a call gives, made again a few times when it is interrupted.

    Raises
    ------
    SourceError
        If it is interrupted each time.
    """
    waits = iter(partial.WAITS)
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
    """Run a request of the client, silent, its failures turned into ours.

    Parameters
    ----------
    advice : mapping of int to str
        What to do, by HTTP status, where Kaggle's general advice is not enough.

    Raises
    ------
    SourceError
        If Kaggle says no.
    Interrupted
        If it cannot be reached, or asks to wait.
    """
    by_status = {401: f"Kaggle does not know this token or key. {_TOKEN}"} | dict(advice or {})
    try:
        with _quiet():
            yield
    except requests.HTTPError as error:
        raise _refusal(error, by_status) from None
    except requests.JSONDecodeError:
        raise SourceError(f"{KAGGLE} gives an answer that cannot be read") from None
    except requests.RequestException as error:
        raise web.failure(error, KAGGLE) from None


def advice(competition: str) -> dict[int, str]:
    """Return what to do when Kaggle refuses something of a competition, by HTTP status."""
    return {
        403: f"Accept the rules at {SITE}/c/{competition}/rules as the owner of the token",
        404: f"Look at {SITE}/c/{competition}/data: the competition or the file is not there",
    }


def _refusal(error: requests.HTTPError, advice: Mapping[int, str]) -> SourceError | Interrupted:
    """Return our error for Kaggle's: its status, its own words where it says some, our advice."""
    response = error.response
    if response is None:
        return SourceError(f"{KAGGLE} says no")
    try:
        told = response.json()
    except requests.RequestException:
        told = {}
    told = told if isinstance(told, dict) else {}
    status = told.get("code", response.status_code)
    words = " ".join(str(told.get("message", response.reason)).split())[:_LONGEST_WORDS]
    reason = f"{KAGGLE} says {status} {_without_secrets(words, response.request)}".rstrip(" .")
    return web.refusal(int(status), reason, response, advice)


def _without_secrets(text: str, request: requests.PreparedRequest) -> str:
    """Return what a server says without what we had sent it to prove who we are."""
    _, _, sent = str(request.headers.get("Authorization", "")).partition(" ")
    secrets = [sent]
    with contextlib.suppress(ValueError):
        secrets += base64.b64decode(sent, validate=True).decode().split(":")[1:]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def _not_signed_in() -> SourceError:
    from kagglesdk import get_access_token_from_env

    token, _ = get_access_token_from_env()
    if token:
        return SourceError("Kaggle does not accept the access token", f"It may be old. {_TOKEN}")
    return SourceError("no Kaggle credentials were found", _TOKEN)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the client prints and, below warnings, what it and its HTTP library log."""
    hidden = {name: os.environ.pop(name) for name in _TALKATIVE if name in os.environ}
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
        os.environ.update(hidden)
