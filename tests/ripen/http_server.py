"""A web server on this machine for the tests: files with ranges, and each thing that goes wrong."""

import hashlib
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What to send: `cut` ends the connection after so many bytes of the body.

    `chunks` is sent instead of the body, without a length, until the client goes away. `hangs` are
    seconds to wait after the body.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    chunks: Iterable[bytes] | None = None
    hangs: float = 0


Answerer = Callable[[Request], Answer]


class Server:
    """Answers with `answer`, which a test may change, and remembers the requests.

    `budget` returns after how many bytes, of the headers too, the next connection breaks; None for
    not at all. `sent` counts the bytes of all connections.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.requests: list[Request] = []
        self.answer: Answerer = lambda request: Answer(status=404)
        self.budget: Callable[[], int | None] = lambda: None
        self.sent = 0

    def serve(self, *answers: Answer | Answerer) -> None:
        """Give these answers in turn, the last of them for ever."""
        waiting = list(answers)

        def answer(request: Request) -> Answer:
            current = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return current if isinstance(current, Answer) else current(request)

        self.answer = answer


def ranged(body: bytes, request: Request, cut: int | None = None) -> Answer:
    """Answer as a file server does: a part if asked for one of this very file, else all of it."""
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if not found or request.headers.get("if-range") != etag:
        return Answer(body, headers={"ETag": etag}, cut=cut)
    start = int(found[1])
    if start >= len(body):
        return Answer(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
    span = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Answer(body[start:], 206, {"ETag": etag, "Content-Range": span}, cut)


class Breaking(io.BufferedIOBase):
    """What a handler writes to, until the connection breaks."""

    def __init__(self, file: Any, connection: socket.socket, known: Server) -> None:
        self._file, self._connection, self._known = file, connection, known
        self._left = known.budget()

    def write(self, content: Any) -> int:
        """Send what the budget allows, and break the connection where there is more."""
        allowed = len(content) if self._left is None else min(len(content), self._left)
        self._file.write(bytes(content[:allowed]))
        self._known.sent += allowed
        if self._left is not None:
            self._left -= allowed
            if allowed < len(content):
                with suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)
                raise BrokenPipeError
        return len(content)


@contextmanager
def running() -> Iterator[Server]:
    """A server on a free port, gone at the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.wfile = Breaking(self.wfile, self.connection, known)

        def _respond(self) -> None:
            sent = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(sent))
            known.requests.append(request)
            answer = known.answer(request)
            self.send_response(answer.status)
            length = {"Content-Length": str(len(answer.body))} if answer.chunks is None else {}
            for name, value in (length | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if answer.chunks is not None:
                self.close_connection = True
                for chunk in answer.chunks:
                    self.wfile.write(chunk)
            self.wfile.write(answer.body[: answer.cut])
            time.sleep(answer.hangs)
            if answer.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = _respond

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that goes away is what the tests are about."""

    server = Quiet(("127.0.0.1", 0), Handler)
    known = Server(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
