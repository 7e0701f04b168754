"""Kaggle, through its own client."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ripen.core.archives import Archive
from ripen.core.atomic import replacing
from ripen.core.errors import SourceError
from ripen.data.sources import kaggle_client, web
from ripen.data.sources.item import Item, KaggleFile
from ripen.data.sources.partial import Stream, receive

WRAPPED = ".zip"


def fetch(item: Item, target: Path) -> None:
    """Download a competition's file.

    Parameters
    ----------
    item : Item
    target : Path
        Written whole or not at all.

    Raises
    ------
    SourceError
        If Kaggle has no such file, does not know us, or its rules are not accepted.
    DataError
        If the disk is full.
    """
    if item.kaggle is None:
        raise SourceError("the file is not one of a Kaggle competition's")
    sender = _Kaggle(item.kaggle, kaggle_client.connect())
    if not sender.wraps():
        receive(item, target, kaggle_client.KAGGLE, sender.open)
        return
    wrapped = target.with_name(target.name + WRAPPED)
    receive(Item(wrapped.name), wrapped, kaggle_client.KAGGLE, sender.open)
    try:
        with Archive(wrapped) as archive, replacing(target) as temporary:
            archive.extract(Path(item.kaggle.file).name, temporary)
            item.check(temporary, kaggle_client.KAGGLE)
    finally:
        wrapped.unlink()


class _Kaggle:
    """A file on Kaggle as a sender: the client asks for it, and is sent on to where it lies."""

    def __init__(self, file: KaggleFile, api: Any) -> None:
        self._file, self._api = file, api
        self._first: requests.Response | None = kaggle_client.retried(self._ask)

    def wraps(self) -> bool:
        """Whether Kaggle packs the file into a zip of the same name, as it does with large ones."""
        url = self._first.url if self._first is not None else ""
        return Path(urlsplit(url).path).name == Path(self._file.file).name + WRAPPED

    def open(self, offset: int, version: str) -> Stream:
        response, self._first = self._first or self._ask(), None
        if offset or "Content-Encoding" in response.headers:
            response.close()
            response = self._ask_again(response.request, web.headers(offset, version))
        return web.stream(response, kaggle_client.KAGGLE, version) or self.open(0, "")

    def _ask(self) -> requests.Response:
        from kagglesdk.competitions.types import competition_api_service as types

        competition, file = self._file.competition, self._file.file
        with kaggle_client.explained(kaggle_client.advice(competition)):
            client = self._api.build_kaggle_client().competitions.competition_api_client
            response: requests.Response
            if self._file.is_whole_archive:
                every = types.ApiDownloadDataFilesRequest()
                every.competition_name = competition
                response = client.download_data_files(every)
            else:
                one = types.ApiDownloadDataFileRequest()
                one.competition_name, one.file_name = competition, file
                response = client.download_data_file(one)
        return response

    def _ask_again(
        self, request: requests.PreparedRequest, headers: dict[str, str]
    ) -> requests.Response:
        """Repeat the last request, behind the redirect, for a part of the file."""
        again = request.copy()
        again.headers.update(headers)
        advice = kaggle_client.advice(self._file.competition)
        # Silent too, since the address itself is signed.
        with kaggle_client.explained(advice), requests.Session() as session:
            settings = session.merge_environment_settings(str(again.url), {}, True, None, None)
            response = session.send(again, timeout=web.TIMEOUT, **settings)
            web.check(response, kaggle_client.KAGGLE, advice)
        return response
