"""A real Chromium, and what goes wrong on the pages that it opens."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = (1280, 390)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found (Debian: chromium)")


@contextmanager
def browser() -> Iterator[BrowserContext]:
    """A browser that has seen nothing yet."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=300_000
        )
        yield chromium.new_context()
        chromium.close()


@contextmanager
def opened(
    address: str, width: int, context: BrowserContext | None = None
) -> Iterator[tuple[Page, list[str]]]:
    """Open a page in a window of a width; yield it and the errors that it has had so far.

    Without a `context` in a browser of its own.
    """
    errors: list[str] = []
    with browser() if context is None else nullcontext(context) as where:
        page = where.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.set_default_timeout(300_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if _is_error(said) else None)
        page.on("response", lambda got: errors.append(_shown(got)) if got.status >= 400 else None)
        page.goto(address)
        yield page, errors
        page.close()


def _is_error(said: ConsoleMessage) -> bool:
    # What could not be loaded is among the responses, with its address.
    return said.type == "error" and not said.text.startswith("Failed to load resource")


def _shown(got: Response) -> str:
    return f"{got.status} {urlsplit(got.url).path}"


def screenshot(page: Page, name: str) -> None:
    """Keep a picture of the page in the folder that RIPEN_SCREENSHOTS names, if it does."""
    if folder := os.environ.get("RIPEN_SCREENSHOTS"):
        page.wait_for_timeout(1500)  # whatever moves has come to rest
        page.screenshot(path=Path(folder) / f"{name}.png")
