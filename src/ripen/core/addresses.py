"""Addresses of stores and clusters, which settings, logs and errors show: none may hold a secret.

What an address may consist of is listed, because what a secret looks like cannot be.
"""

import re
from urllib.parse import unquote

PARAMETERS = (
    *("application_name", "cache", "charset", "connect_timeout", "dbname", "gssencmode"),
    *("host", "hostaddr", "immutable", "port", "service"),
    *("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "mode", "nolock"),
    *("sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert", "target_session_attrs"),
    *("tcp_user_timeout", "timeout", "uri", "vfs"),
)
"""The parameters that an address may have: of SQLite, and of PostgreSQL's client."""

_HOST = r"(\[[0-9a-fA-F:.]+\]|[\w.-]*)(:\d*)?"
_VALUE = r"[\w .,:/~+-]*"
_PARAMETER = rf"({'|'.join(PARAMETERS)})={_VALUE}"
_ADDRESS = re.compile(
    rf"([a-zA-Z][\w+.-]*:)?(//{_HOST}(,{_HOST})*(?=/|\?|$)|(?!.*//))[^=@#?;&%\r\n\0]*"
    rf"(\?{_PARAMETER}(&{_PARAMETER})*)?"
)
_NAME = (
    r"([\w-]*(pass(word|wd|phrase)|pwd|token|secret|credential|signature)"
    r"|([\w-]*[_-]|api|ssl|access)?(key|pass|user(name)?|auth))"
)
_SECRETS = (
    (re.compile(r"//[^/?#\s]*@"), "//***@"),
    (re.compile(rf"(?i)(?<![\w-])({_NAME}\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)"), r"\1***"),
)


def is_open(address: str) -> bool:
    """Whether anyone may read an address: it has no place where a secret could stand.

    >>> is_open("postgresql://db:5432/ripen?sslmode=require")
    True
    >>> is_open("postgresql://ann:s3cret@db/ripen")
    False
    >>> is_open("http://host:5000/?whatever=s3cret")
    False
    """
    return _ADDRESS.fullmatch(unquote(address)) is not None


def hidden(text: str) -> str:
    """Return a message of somebody else's code without the secrets of the addresses in it.

    >>> hidden("GET http://ann:s3cret@host/?a=1&api_token=abc refused")
    'GET http://***@host/?a=1&api_token=*** refused'
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
