"""Kaggle's own client: signing in, and its errors turned into ours.

The package `kaggle` signs in when it is imported, prints while it does, and exits the process when
it fails. It is therefore imported here only, on demand and with its output suppressed. Our messages
are made from Kaggle's responses and never contain what we sent.
"""

import base64
import contextlib
import io
import json
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, quote_plus, unquote

import requests
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
)
from requests.adapters import HTTPAdapter

from ripen.core.errors import RipenError, SourceError
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
_PORTAL = "If this network has a page to sign in, open a browser and do so. Then run it again"
_LONGEST_MESSAGE = 300
_VERBOSE = ("VERBOSE", "VERBOSE_OUTPUT")
"""Variables that make the client print each request, the token included."""
_HIDDEN = "***"
_LAYERS = 3  # of percent encoding
_OPAQUE = re.compile(r"(?=[A-Za-z+/=_]*\d)(?=[\d+/=_]*[A-Za-z])[A-Za-z\d+/=_]{16,}")
"""A long run of letters and digits: no word, but perhaps a token in some encoding."""


class StrangeAnswer(SourceError):
    """Kaggle's answer cannot be understood, so that what it did is unknown."""


# --- Answers -------------------------------------------------------------------------------------


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a server's text as one line for the terminal, without secrets.

    Hidden are the secrets in the usual encodings, and whatever looks like an encoded one.

    >>> shown("no\\n entry \\x1b[31m for dG9rZW46c2VjcmV0MTIz")
    'no entry [31m for ***'
    """
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    secrets, plain = [each for each in secrets if each], line
    for _ in range(_LAYERS):
        plain = unquote(plain)
    if any(each in plain for each in secrets):
        line = plain
    for form in sorted({form for each in secrets for form in _forms(each)}, key=len, reverse=True):
        line = re.sub(re.escape(form), _HIDDEN, line, flags=re.I)
    return _OPAQUE.sub(_HIDDEN, line)[:_LONGEST_MESSAGE]


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as a server may repeat it. Long encoded forms are opaque in any case."""
    yield from (secret, secret[::-1], quote(secret, safe=""), quote_plus(secret))
    content = secret.encode()
    yield from (content.hex(), base64.b32encode(content).decode().rstrip("="))
    for before in range(3):  # where the secret starts within a group of three bytes
        # The first and the last group hold bits of the neighbours too.
        whole = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        inner = whole[4 if before else 0 : len(whole) - len(whole) % 4 or None]
        if inner:
            yield from (inner, inner.translate(str.maketrans("+/", "-_")))


def _shown(text: str, info: ValidationInfo) -> str:
    return shown(text, (info.context or {}).get("secrets", ()))


def _number(text: str) -> str:
    if not math.isfinite(float(text)):
        raise ValueError("is not a finite number")
    return text


Text = Annotated[str, AfterValidator(_shown)]
"""A text of Kaggle's, to be shown."""
Score = Annotated[
    Annotated[str, AfterValidator(_number)] | None, BeforeValidator(lambda text: text or None)
]
"""A score with Kaggle's own digits; None where there is none."""


class Answer(BaseModel):
    """What we read of an answer: fields by Kaggle's own names, whose types are checked."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


A = TypeVar("A", bound=Answer)


def request(name: str, **fields: Any) -> Any:
    """Return a request about competitions, for instance `ApiGetCompetitionRequest`.

    Parameters
    ----------
    name : str
        The part of its type's name that tells it from others: "GetCompetition".
    **fields
        By Kaggle's own names.
    """
    from kagglesdk.competitions.types import competition_api_service as types

    made = getattr(types, f"Api{name}Request")()
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def ask(
    api: Any, method: str, request: Any, answer: type[A], advice: Mapping[int, str] | None = None
) -> A:
    """Send a request about competitions, and return what we read of the answer, its types checked.

    Parameters
    ----------
    api : KaggleApi
        From `connect`.
    method : str
        Of Kaggle's `CompetitionApiClient`.
    request : object
        Its argument, from `request`.
    answer : type
        What we read of it.
    advice : mapping of int to str
        As `explained` takes it.

    Raises
    ------
    SourceError
        If Kaggle refuses.
    StrangeAnswer
        If the answer is not what Kaggle's client expects, or a field has another type.
    Interrupted
        If Kaggle is unreachable or busy.
    """
    with explained(advice), api.build_kaggle_client() as client:
        found = getattr(client.competitions.competition_api_client, method)(request)
        secrets = _secrets(client.http_client()._session.auth)
        return answer.model_validate(found, context={"secrets": secrets})


def _secrets(auth: Any) -> list[str]:
    """Return what a request signs in with."""
    user_and_key = auth if isinstance(auth, tuple) else ("", getattr(auth, "token", ""))
    return [user_and_key[1], ":".join(user_and_key)] if user_and_key[1] else []


# --- Signing in ----------------------------------------------------------------------------------


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
    _check_key(Path(api.config))
    retried(lambda: _sign_in(api))
    return api


def _check_key(file: Path) -> None:
    """Make sure that a file with an older key is whole: the client would say nothing of use."""
    try:
        if file.exists() and not {"username", "key"} <= set(json.loads(file.read_bytes())):
            raise SourceError(f"{file} lacks the username or the key", _TOKEN)
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}", _TOKEN) from None
    except (ValueError, TypeError, RecursionError):
        raise SourceError(f"{file} is not a JSON file of a username and a key", _TOKEN) from None


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
        response = super().send(request, **settings | {"timeout": download.TIMEOUT})
        # The client would read the error's body first, and stumble over an odd one.
        if response.status_code >= 400:
            raise requests.HTTPError(response=response)
        return response


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
    StrangeAnswer
        If its client cannot read the answer.
    Interrupted
        If Kaggle is unreachable or busy.
    """
    by_status = {401: f"The token or key is not valid. {_TOKEN}"} | dict(advice or {})
    try:
        with _quiet():
            yield
    except (RipenError, Interrupted):
        raise
    except requests.HTTPError as error:
        raise _refusal(error, by_status) from None
    except json.JSONDecodeError:  # that of requests too
        raise StrangeAnswer(f"{KAGGLE}'s answer is not JSON", _PORTAL) from None
    except requests.RequestException as error:
        raise download.request_error(error, KAGGLE) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        message = first["msg"][0].lower() + first["msg"][1:]
        raise StrangeAnswer(f"{KAGGLE}'s answer is not understood: {field}: {message}") from None
    # The client raises whatever its reading of an odd answer leads to: KeyError of a status that
    # it does not know, AttributeError of a number in place of a date, RecursionError.
    except Exception as error:
        reason = shown(f"{type(error).__name__}: {error}", ())
        raise StrangeAnswer(f"{KAGGLE}'s answer is not understood ({reason})") from None


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
    body: Any = None
    with contextlib.suppress(ValueError, RecursionError, requests.RequestException):
        body = response.json()
    body = body if isinstance(body, dict) else {}
    code = body.get("code")
    status = code if type(code) is int and 400 <= code < 600 else response.status_code
    message = shown(str(body.get("message") or response.reason or ""), _sent(response.request))
    reason = f"{KAGGLE} says {status} {message}".rstrip(" .")
    return download.status_error(status, reason, response, advice)


def _sent(request: requests.PreparedRequest) -> list[str]:
    """Return the secrets of a request: the header's own, and the key that it encodes."""
    _, _, sent = str(request.headers.get("Authorization", "")).partition(" ")
    secrets = [sent]
    # Basic authentication encodes "user:key": the key alone may be repeated, too.
    with contextlib.suppress(ValueError):
        secrets += base64.b64decode(sent, validate=True).decode().split(":")[1:]
    return [secret for secret in secrets if secret]


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
