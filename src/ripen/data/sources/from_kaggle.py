"""Source `kaggle`: the files of a competition on Kaggle, through Kaggle's own client.

An address is ``<competition>``, whose archive has all files, or ``<competition>/<file>``.
"""

from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from ripen.core.archives import Archive
from ripen.core.atomic import replacing
from ripen.core.errors import SourceError
from ripen.data.sources import download, kaggle_client
from ripen.data.sources.download import Stream, receive
from ripen.data.sources.source import Item, register

ZIP = ".zip"


class KaggleFile(NamedTuple):
    """A file of a competition; `<competition>.zip` is the archive of all of them."""

    competition: str
    file: str

    @classmethod
    def parse(cls, address: str) -> "KaggleFile":
        """Return the parts of an address.

        >>> KaggleFile.parse("titanic")
        KaggleFile(competition='titanic', file='titanic.zip')
        >>> KaggleFile.parse("titanic/train.csv")
        KaggleFile(competition='titanic', file='train.csv')
        """
        competition, _, file = address.partition("/")
        if not competition:
            raise SourceError(f"invalid address {address!r}. Expected: <competition>[/<file>]")
        return cls(competition, file or f"{competition}{ZIP}")

    @property
    def is_whole_archive(self) -> bool:
        return self.file == f"{self.competition}{ZIP}"


def mirrored(address: str) -> Path:
    """Return the path of a competition's file in a mirror."""
    return Path("kaggle", *KaggleFile.parse(address))


@register("kaggle", mirrored)
def fetch(item: Item, target: Path) -> None:
    """Download a file of a competition.

    Raises
    ------
    SourceError
        If the item has no address, Kaggle does not have the file or does not accept the
        credentials, or the competition's rules are not accepted.
    DataError
        If the disk is full.
    """
    file = KaggleFile.parse(item.address("kaggle"))
    sender = _Download(file, kaggle_client.connect())
    if not sender.is_zipped():
        receive(item, target, kaggle_client.KAGGLE, sender.open)
        return
    zipped = target.with_name(target.name + ZIP)
    receive(Item(zipped.name), zipped, kaggle_client.KAGGLE, sender.open)
    try:
        with Archive(zipped) as archive, replacing(target) as temporary:
            archive.extract(Path(file.file).name, temporary)
            item.check(temporary, kaggle_client.KAGGLE)
    finally:
        zipped.unlink()


class _Download:
    """A file on Kaggle. The client's request is redirected to a signed address of a file store."""

    def __init__(self, file: KaggleFile, api: Any) -> None:
        self._file, self._api = file, api
        self._first: requests.Response | None = kaggle_client.retried(self._request)

    def is_zipped(self) -> bool:
        """Whether Kaggle sends the file in a zip of the same name, as it does with large ones."""
        url = self._first.url if self._first is not None else ""
        return Path(urlsplit(url).path).name == Path(self._file.file).name + ZIP

    def open(self, offset: int, version: str) -> Stream:
        response, self._first = self._first or self._request(), None
        # The client cannot request a range: repeat its last request, to the file store, with one.
        if offset or "Content-Encoding" in response.headers:
            response.close()
            response = self._repeat(response.request, download.range_headers(offset, version))
        return download.as_stream(response, kaggle_client.KAGGLE, version) or self.open(0, "")

    def _request(self) -> requests.Response:
        competition, file = self._file
        with kaggle_client.explained(kaggle_client.advice(competition)):
            client = self._api.build_kaggle_client().competitions.competition_api_client
            response: requests.Response
            if self._file.is_whole_archive:
                every = kaggle_client.request("DownloadDataFiles", competition_name=competition)
                response = client.download_data_files(every)
            else:
                one = kaggle_client.request(
                    "DownloadDataFile", competition_name=competition, file_name=file
                )
                response = client.download_data_file(one)
        return response

    def _repeat(
        self, request: requests.PreparedRequest, headers: dict[str, str]
    ) -> requests.Response:
        again = request.copy()
        again.headers.update(headers)
        advice = kaggle_client.advice(self._file.competition)
        # `explained` also keeps this request out of the logs, because its address is signed.
        with kaggle_client.explained(advice), requests.Session() as session:
            settings = session.merge_environment_settings(str(again.url), {}, True, None, None)
            response = session.send(again, timeout=download.TIMEOUT, **settings)
            download.check_status(response, kaggle_client.KAGGLE, advice)
        return response
