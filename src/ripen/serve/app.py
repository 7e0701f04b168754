"""The page and its two addresses of JSON, on Starlette.

The page is for the user of this machine. What it must withstand is another page in the same
browser: a `Host` of another name is refused (DNS rebinding), a question must have a type that a
browser does not send to a stranger without asking, nothing is loaded from elsewhere, and text is
never read as HTML. Questions stay in memory.
"""

import asyncio
import base64
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ripen.core.errors import DataError, line
from ripen.serve.answers import Answer, Served

LOCAL = "127.0.0.1"
LARGEST = {"image": 20 * 2**20, "row": 2**20}
"""Bytes of a question."""
WAITING = 16  # connections, each with a question in memory
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PAGES = {"/": "drop.html", "/drop.js": "drop.js", "/drop.css": "drop.css"}


def run(served: Served, host: str, port: int) -> int:
    """Serve a model's page until Ctrl-C; return the exit code."""
    config = uvicorn.Config(
        app(served, host), host=host, port=port, log_level="warning", access_log=False,
        limit_concurrency=WAITING, server_header=False, ws="none", lifespan="off",
    )  # fmt: skip
    uvicorn.Server(config).run()
    return 0


def app(served: Served, host: str = LOCAL) -> ASGIApp:
    """Return the application of a model.

    Parameters
    ----------
    served : Served
    host : str
        The address that it listens on: a name that a browser may use for it.
    """
    one_by_one = asyncio.Semaphore(1)

    async def model(request: Request) -> Response:
        fields = [asdict(each) for each in served.fields]
        return JSONResponse(
            {
                "title": served.title, "about": served.about, "takes": served.takes,
                "fields": fields, "largest": LARGEST[served.takes],
            }
        )  # fmt: skip

    async def predict(request: Request) -> Response:
        question = await _question(request, served)
        async with one_by_one:
            started = time.perf_counter()
            answer = await run_in_threadpool(served.answer, question)
            seconds = time.perf_counter() - started
        return JSONResponse(_plain(answer) | {"seconds": round(seconds, 4)})

    routes = [
        *(Route(path, _file(name)) for path, name in PAGES.items()),
        Route("/api/model", model),
        Route("/api/predict", predict, methods=["POST"]),
    ]
    errors: Mapping[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _refused,
        Exception: _failed,
    }
    made = Starlette(routes=routes, exception_handlers={**errors, DataError: _failed})
    return _Guard(made, host)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return FileResponse(Path(__file__).with_name(name))

    return send


async def _question(request: Request, served: Served) -> Any:
    """Return the question of a request, which must be no larger than `LARGEST`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A browser sends none of these to another site before it has asked that site.
    allowed = {"image": "image/… or application/octet-stream", "row": "application/json"}
    fits = (
        kind.startswith("image/") or kind == "application/octet-stream"
        if served.takes == "image"
        else kind == "application/json"
    )
    if not fits:
        raise HTTPException(415, f"Content-Type: needed is {allowed[served.takes]}")
    most, body = LARGEST[served.takes], bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f"larger than {most / 2**20:g} MiB")
    if served.takes == "image":
        return bytes(body)
    try:
        row = json.loads(body)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise HTTPException(400, 'needed is one JSON object: {"column": value, …}')
    return row


def _plain(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "top": [{"name": name, "probability": value} for name, value in answer.top],
        "values": [{"name": name, "value": value} for name, value in answer.values],
        "notes": list(answer.notes),
    }
    for name, image in (("seen", answer.seen), ("saliency", answer.saliency)):
        if image is not None:
            found[name] = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    return found


async def _refused(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": str(error.detail)}, error.status_code)


async def _failed(request: Request, error: Exception) -> Response:
    text = line(error)
    if text is None:
        return JSONResponse({"error": "the model failed; see the terminal"}, 500)
    return JSONResponse({"error": text}, 400)


class _Guard:
    """Refuses other hosts' names, and adds `HEADERS` to every answer."""

    def __init__(self, inner: ASGIApp, host: str) -> None:
        self._inner, self._host = inner, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        named = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if not is_ours(named, self._host):
            refused = JSONResponse({"error": "this page has another name"}, 421)
            await refused(scope, receive, guarded)
            return
        await self._inner(scope, receive, guarded)


def is_ours(named: str, host: str) -> bool:
    """Whether a request's `Host` names this server, and not a site that resolves to its address.

    Numbers do: no other site has them as its name. So do `localhost`, names below it (RFC 6761),
    and the name that the server was started with.

    >>> [is_ours(each, "127.0.0.1") for each in ("127.0.0.1:8000", "localhost:80", "evil.example")]
    [True, True, False]
    """
    try:
        name = urlsplit(f"//{named}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", host.lower()) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
