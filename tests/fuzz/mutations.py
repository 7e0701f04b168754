"""Damage to a file: to any bytes, and with the structure of its format kept around the damage."""

import contextlib
import re
import struct
import zlib
from collections.abc import Callable
from random import Random

Mutation = Callable[[bytes, Random], bytes]

EDGES = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -1)
WORDS = (
    *("0", "-1", "1e39", "-1e39", "nan", "inf", "1e-320", "0x7fffffff", "3.5", "07"),
    *(
        "2147483647",
        "4294967296",
        "9223372036854775808",
        "1" * 5000,
        "''",
        '""',
        '"\\0"',
        '"\\xff"',
    ),
    *("true", "null", "MAX", "~", "[]", "{}", "é", "\ud800", "a" * 3000, "../../x", "/dev/zero"),
)
YAML_WORDS = (
    *("[1, 2]", "{a: 1}", "[[[[[]]]]]", "!!python/object:os.system x", "2026-02-30", "${id}", "${"),
    *(
        "${oc.env:HOME}",
        "*a",
        "&a [*a, *a]",
        "|",
        ">",
        "? x",
        "- x",
        "!!binary x",
        "'",
        "\t",
        "%",
        "@",
    ),
)
CSV_WORDS = (
    '"',
    '""',
    ",",
    ",,,,,,",
    "\0",
    "\r",
    "\n",
    "NA",
    "1,5",
    "x" * 200_000,
    "=1+1",
    "\ufeff",
)


def flipped(content: bytes, random: Random) -> bytes:
    """Change a few bits."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        changed[_place(content, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncated(content: bytes, random: Random) -> bytes:
    """Keep the beginning."""
    return content[: random.randrange(len(content))]


def removed(content: bytes, random: Random) -> bytes:
    """Remove a piece."""
    start = random.randrange(len(content))
    return content[:start] + content[start + random.choice((1, 2, 4, 8, 100, 5000)) :]


def doubled(content: bytes, random: Random) -> bytes:
    """Repeat a piece, up to a hundred times."""
    start = random.randrange(len(content))
    end = start + random.choice((1, 4, 16, 300))
    return content[:end] + content[start:end] * random.choice((1, 2, 100)) + content[end:]


def numbered(content: bytes, random: Random) -> bytes:
    """Put a number at the edge of its type where a length, an offset or a count may be."""
    form = random.choice(("B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    start = _place(content, random)
    value = random.choice(EDGES) % (1 << 8 * size)
    return content[:start] + struct.pack(form, value) + content[start + size :]


def overwritten(content: bytes, random: Random) -> bytes:
    """Put one piece of the file over another."""
    size = random.choice((4, 16, 64, 512, 4096))
    start, other = random.randrange(len(content)), _place(content, random)
    return content[:start] + content[other : other + size] + content[start + size :]


BYTES: tuple[Mutation, ...] = (flipped, truncated, removed, doubled, numbered, overwritten)


def _place(content: bytes, random: Random) -> int:
    """Return a position, more often one that is not in the zeros between two structures."""
    for _ in range(20):
        place = random.randrange(len(content))
        if content[place]:
            break
    return place


def token(*further: str) -> Mutation:
    """Make a mutation of text that puts one of `WORDS` or `further` in the place of a token."""

    def replaced(content: bytes, random: Random) -> bytes:
        text = content.decode("utf-8", "replace")
        found = list(re.finditer(r"[\w.+-]+|\"[^\"]*\"|[^\w\s]", text))
        if not found:
            return content
        start, end = random.choice(found).span()
        word = random.choice((*WORDS, *further, random.choice(found)[0]))
        return (text[:start] + word + text[end:]).encode("utf-8", "surrogatepass")

    return replaced


def value(content: bytes, random: Random) -> bytes:
    """Put a number in the place of a number, a string of the file in that of a string."""
    text = content.decode("utf-8", "replace")
    found = list(re.finditer(r"(?<=: )(-?[\d.]+|\"[^\"]*\"|[A-Z]{3,})", text))
    if not found:
        return content
    chosen = random.choice(found)
    others = [each[0] for each in found if each[0][:1].isdigit() == chosen[0][:1].isdigit()]
    numbers = ("0", "-1", "2", "7", "300", "50000", "2147483647", "4294967295", "1e38", "nan")
    word = random.choice((*others, *numbers) if chosen[0][:1].isdigit() else others)
    return (text[: chosen.start()] + word + text[chosen.end() :]).encode()


def line(content: bytes, random: Random) -> bytes:
    """Remove, repeat, move or indent a line."""
    lines = content.splitlines(keepends=True) or [b"\n"]
    at = random.randrange(len(lines))
    one = lines[at]
    other = random.randrange(len(lines))
    lines[at : at + 1] = random.choice(([], [one, one], [b"  " + one], [one] * 200))
    if random.random() < 0.3:
        lines.insert(other, one)
    return b"".join(lines)


def deep(opening: str, closing: str) -> Mutation:
    """Make a mutation of text that nests up to 20,000 levels."""

    def nested(content: bytes, random: Random) -> bytes:
        depth = random.choice((10, 100, 1000, 20_000))
        ends = closing * random.choice((0, depth))
        at = random.choice((0, len(content), content.find(b"\n") + 1))
        return content[:at] + (opening * depth + ends).encode() + content[at:]

    return nested


def proto(content: bytes, random: Random) -> bytes:
    """Change a field of a protobuf message at any depth; the lengths around it stay right."""
    fields = _fields(content)
    if not fields:
        return flipped(content, random) if content else b"\x0a\x00"
    at = random.randrange(len(fields))
    key, kind, value = fields[at]
    if kind == 2 and value and random.random() < 0.7:
        changed = proto if _fields(value) else random.choice(BYTES)
        fields[at] = (key, kind, changed(value, random))
        return b"".join(map(_written, fields))
    written = _written(fields[at])
    change = random.randrange(7)
    number = random.choice(EDGES)
    if change == 0:
        written = b""
    elif change == 1:
        written *= random.choice((2, 3, 1000))
    elif change == 2:  # a length or a number at the edge
        written = _varint(key << 3 | kind) + _varint(number) + (value if kind == 2 else b"")
    elif change == 3:  # another type on the wire
        written = _varint(key << 3 | random.randrange(8)) + value
    elif change == 4:  # another field
        written = _written((random.choice((1, 2, 3, 5, 100, 103, 2**29 - 1)), kind, value))
    elif change == 5:  # messages within one another
        for _ in range(random.choice((10, 99, 101, 300))):
            written = _written((key, 2, written))
    else:
        random.shuffle(fields)
    return (
        b"".join(map(_written, fields[:at])) + written + b"".join(map(_written, fields[at + 1 :]))
    )


def _fields(content: bytes) -> list[tuple[int, int, bytes]]:
    """Return number, wire type and bytes of each field; nothing if it is no message."""
    fields, at = [], 0
    while at < len(content):
        tag, at = _number(content, at)
        kind, start = tag & 7, at
        if kind == 0:
            _, at = _number(content, at)
        elif kind == 2:
            size, start = _number(content, at)
            at = start + size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return []
        if at > len(content) or not tag >> 3:
            return []
        fields.append((tag >> 3, kind, content[start:at]))
    return fields


def _number(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 128:
            return value, at
    return 0, len(content) + 1


def _written(field: tuple[int, int, bytes]) -> bytes:
    key, kind, value = field
    return _varint(key << 3 | kind) + (_varint(len(value)) if kind == 2 else b"") + value


def _varint(value: int) -> bytes:
    value %= 1 << 64
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def png(content: bytes, random: Random) -> bytes:
    """Change a chunk of a PNG; its length and its check sum stay right."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += size + 12
    if not chunks:
        return flipped(content, random)
    which = random.randrange(len(chunks))
    kind, body = chunks[which]
    if kind == b"IDAT" and random.random() < 0.7:
        with contextlib.suppress(zlib.error):  # damaged before
            raw = random.choice(BYTES)(zlib.decompress(body), random)
            chunks[which] = (kind, zlib.compress(raw))
    elif body:
        chunks[which] = (kind, random.choice(BYTES)(body, random))
    else:
        chunks.insert(random.randrange(len(chunks)), random.choice(chunks))
    return content[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def tar(content: bytes, random: Random) -> bytes:
    """Change a field of a member's header in a tar; the check sum stays right."""
    starts = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]
    if not starts:
        return flipped(content, random)
    at = random.choice(starts)
    header = bytearray(content[at : at + 512])
    start, size = random.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (345, 155)))
    values = (b"77777777777", b"-1", b"\xff" * size, b"\x80" + b"\x7f" * 11, b"../../x", b"", b"\0")
    kinds = tuple(bytes([kind]) for kind in b"0123456789KLSgxDMNV")
    value = random.choice(kinds if size == 1 else values)[:size]
    header[start : start + size] = value.ljust(size, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return content[:at] + bytes(header) + content[at + 512 :]


def zip_header(content: bytes, random: Random) -> bytes:
    """Change a number of a header or of the directory of a zip."""
    marks = [match.start() for match in re.finditer(b"PK(\x01\x02|\x03\x04|\x05\x06)", content)]
    if not marks:
        return flipped(content, random)
    at = random.choice(marks) + 4 + 2 * random.randrange(20)
    form = random.choice(("<H", "<I"))
    value = struct.pack(form, random.choice(EDGES) % (1 << 8 * struct.calcsize(form)))
    return content[:at] + value + content[at + len(value) :]
