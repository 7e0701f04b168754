from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.core.addresses import hidden, is_open

growth: Any = import_module("tests.caffe.growth")  # of the other distribution


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///x.db",
        "sqlite:////home/ann's files/x.db?timeout=1",
        "sqlite:///file:x.db?mode=ro&uri=true",
        "./mlruns",
        "C:\\mlruns\\x.db",
        "file:///srv/mlruns",
        "databricks://profile",
        "http://host:5000",
        "https://[::1]:5000/mlflow/",
        "postgresql://one:5432,two:5432/ripen?target_session_attrs=any&connect_timeout=3",
        "postgresql:///ripen?sslrootcert=/etc/ssl/root.pem",
        "postgresql+psycopg:///ripen?host=/var/run/postgresql&port=5433",
        "ray://head:10001",
        "127.0.0.1:6379",
        "auto",
    ],
)
def test_an_address_without_a_place_for_a_secret(address: str) -> None:
    assert is_open(address)
    assert hidden(f"{address}: refused") == f"{address}: refused"


@pytest.mark.parametrize(
    "address",
    [
        "http://ann:s3cret@host",
        "http://s3cret@host",
        "http://ann:s3cret",
        "//ann:s3cret@host",
        "http://ann%3As3cret%40host",
        "http://ann%253As3cret%2540host",
        "http://host\\@s3cret",
        "http://host/?password=s3cret",
        "http://host?s3cret",
        "http://host/?timeout=1&anything=s3cret",
        "http://host/?timeout=1;token=s3cret",
        "http://host/?timeout=1%26token%3Ds3cret",
        "http://host/?to%6ben=s3cret",
        "http://host/#token=s3cret",
        "http://host/;password=s3cret",
        "http://host/\n?s3cret",
        "host=db password=s3cret",
        "mssql+pyodbc:///?odbc_connect=s3cret",
    ],
)
def test_an_address_with_a_place_for_a_secret(address: str) -> None:
    assert not is_open(address)


@given(
    before=st.sampled_from(["", "http://host/?a=1&", "host=h ", "connecting: "]),
    name=st.sampled_from(["password", "TOKEN", "api_key", "access-token", "PGPASSWORD", "secret"]),
    mark=st.sampled_from(["=", ": ", " = "]),
    secret=st.text("abcXYZ0189._-", min_size=3),
    quote=st.sampled_from(["", "'", '"']),
)
def test_a_named_secret_is_hidden(
    before: str, name: str, mark: str, secret: str, quote: str
) -> None:
    line = f"{before}{name}{mark}{quote}Q{secret}{quote}, refused"
    assert f"Q{secret}" not in (shown := hidden(line))
    assert shown.endswith(", refused")


def test_a_user_is_hidden_even_with_an_at_sign_in_the_password() -> None:
    assert hidden("no: postgresql://ann:p@ss@db/x here") == "no: postgresql://***@db/x here"
    assert hidden("sigma=0.1 keys=3 author=x monkey: y") == "sigma=0.1 keys=3 author=x monkey: y"


@pytest.mark.parametrize("text", ["//", "a", "token", "timeout=1&"])
def test_long_texts_take_time_in_proportion(text: str) -> None:
    def read(times: int) -> None:
        is_open(f"http://h/?{text * times}"), hidden(text * times)

    assert growth.growth(read, 500, 8000) < growth.MOST
