"""Read an LMDB page by page, in key order, without LMDB itself.

py-lmdb refuses to open a database twice in one process. Scripts do need that: they write one with
py-lmdb, leave it open and let a net read it. So a net maps the file and walks its tree itself. It
sees the last commit before it began. There are no locks: do not write to the database meanwhile.

The format is that of LMDB 0.9 (mdb.c): pages of a fixed size, each with a header of 16 bytes (page
number, flags, bounds of its free space), then 16-bit offsets of its nodes. Two meta pages come
first; the newer one names the root of the tree.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from caffe.errors import FormatError

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = struct.Struct("<QHHHH")  # page number, padding, flags, lower, upper
_META = struct.Struct("<IIQQ")  # magic, version, address, size of the map
_TREE = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, three counts, entries, root
_NODE = struct.Struct("<HHHH")  # size or page (low, high), flags, size of the key
_BRANCH, _LEAF = 0x01, 0x02  # flags of pages
_BIG, _SUB, _DUPLICATES = 0x01, 0x02, 0x04  # flags of nodes
_NO_PAGE = 2**64 - 1
_DEEPEST = 32  # the depth that LMDB's cursors allow


class Damaged(FormatError):
    """A database is truncated or damaged; the message does not name it."""


class Pages:
    """A database's file, open for reading.

    Parameters
    ----------
    file : path
        ``data.mdb``.

    Raises
    ------
    OSError
        If it cannot be opened.
    Damaged
        If it is not an LMDB.
    """

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            first = self._meta(0)
            self._size = first[1]
            metas = [first, self._meta(self._size)]
        except struct.error:
            raise Damaged("the file is shorter than its first two pages") from None
        _, _, self._root, last = max(metas)
        if len(self._map) < (last + 1) * self._size:
            raise Damaged(f"{len(self._map)} bytes of {(last + 1) * self._size}")

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values.

        Raises
        ------
        Damaged
            If a page or a node is damaged.
        """
        if self._root == _NO_PAGE:
            return
        self._left = len(self._map) // self._size  # pages that a tree can have
        try:
            yield from self._walk(self._root, 0)
        except (struct.error, IndexError):
            raise Damaged("a page or a node lies outside the file") from None

    def _meta(self, at: int) -> tuple[int, int, int, int]:
        """Return a meta page's transaction, page size, root, and last page in use."""
        magic, version, _, _ = _META.unpack_from(self._map, at + _HEADER.size)
        if (magic, version) != (_MAGIC, _VERSION):
            raise Damaged("is not an LMDB of version 0.9")
        trees = at + _HEADER.size + _META.size
        size = _TREE.unpack_from(self._map, trees)[0]  # of the tree of free pages, which is first
        if size < 512 or size & size - 1:
            raise Damaged(f"pages of {size} bytes")
        root = _TREE.unpack_from(self._map, trees + _TREE.size)[-1]
        last, transaction = struct.unpack_from("<QQ", self._map, trees + 2 * _TREE.size)
        return transaction, size, root, last

    def _walk(self, page: int, depth: int) -> Iterator[tuple[bytes, bytes]]:
        start = page * self._size
        number, _, flags, lower, _ = _HEADER.unpack_from(self._map, start)
        self._left -= 1
        odd = depth > _DEEPEST or self._left < 0
        if number != page or odd or not flags & (_BRANCH | _LEAF):
            raise Damaged(f"page {page} is damaged")
        count = (lower - _HEADER.size) // 2
        for offset in struct.unpack_from(f"<{count}H", self._map, start + _HEADER.size):
            low, high, kind, key_size = _NODE.unpack_from(self._map, start + offset)
            at = start + offset + _NODE.size
            if flags & _BRANCH:
                yield from self._walk(low | high << 16 | kind << 32, depth + 1)
                continue
            if kind & (_SUB | _DUPLICATES):
                raise Damaged("has databases within it, or several values for a key")
            size, key = low | high << 16, self._bytes(at, key_size)
            if kind & _BIG:
                big = struct.unpack_from("<Q", self._map, at + key_size)[0]
                yield key, self._bytes(big * self._size + _HEADER.size, size)
            else:
                yield key, self._bytes(at + key_size, size)

    def _bytes(self, at: int, size: int) -> bytes:
        if at + size > len(self._map):
            raise IndexError
        return self._map[at : at + size]
