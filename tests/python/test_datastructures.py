"""Headers, requests and responses, close codes."""

import copy

import pytest
from libws.datastructures import Headers, MultipleValuesError
from libws.exceptions import InvalidHeaderValue, ProtocolError
from libws.frames import Close, CloseCode, Opcode
from libws.http11 import Request, Response


@pytest.fixture
def headers():
    return Headers([("Host", "a"), ("Cookie", "b"), ("cookie", "c")])


def test_lookup_has_no_case(headers):
    assert headers["HOST"] == headers["host"] == "a"
    assert "HOST" in headers
    assert "Hos" not in headers
    assert 1 not in headers


def test_lookup_of_what_is_not_there_is_key_error(headers):
    with pytest.raises(KeyError):
        headers["Origin"]
    assert headers.get("Origin") is None
    assert headers.get_all("Origin") == []


def test_lookup_of_what_is_there_twice_is_multiple_values_error(headers):
    with pytest.raises(MultipleValuesError, match="'Cookie'") as caught:
        headers["Cookie"]
    assert isinstance(caught.value, LookupError)
    assert headers.get_all("COOKIE") == ["b", "c"]


def test_setting_adds_and_deleting_removes_all(headers):
    headers["cookie"] = "d"
    assert headers.get_all("Cookie") == ["b", "c", "d"]
    del headers["COOKIE"]
    assert "Cookie" not in headers
    with pytest.raises(KeyError):
        del headers["Cookie"]


def test_iteration_and_length_count_each_name_once(headers):
    assert list(headers) == ["host", "cookie"]
    assert len(headers) == 2
    assert list(headers.raw_items()) == [("Host", "a"), ("Cookie", "b"), ("cookie", "c")]


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", "\r\nX: y"])
def test_value_that_would_end_its_line_is_refused(headers, value):
    with pytest.raises(InvalidHeaderValue):
        headers["X"] = value
    with pytest.raises(InvalidHeaderValue):
        Headers({"X": value})
    assert "X" not in headers


def test_made_of_everything_that_has_names_and_values(headers):
    expected = Headers([("A", "1"), ("B", "2")])
    assert Headers({"A": "1", "B": "2"}) == expected
    assert Headers(expected) == expected
    assert Headers({"A": "1"}, B="2") == expected
    assert Headers(headers).get_all("Cookie") == ["b", "c"]


def test_equality_has_no_case_and_no_order_among_names():
    assert Headers([("A", "1"), ("B", "2")]) == Headers([("b", "2"), ("a", "1")])
    assert Headers([("A", "1"), ("A", "2")]) != Headers([("A", "2"), ("A", "1")])
    assert Headers() != {}


def test_copy_is_another_one(headers):
    for other in (headers.copy(), copy.copy(headers)):
        other["X"] = "y"
        assert "X" not in headers


def test_clear_and_update(headers):
    headers.update({"X": "y"}, Z="z")
    assert (headers["X"], headers["Z"]) == ("y", "z")
    headers.clear()
    assert len(headers) == 0


def test_serialized_as_it_travels():
    headers = Headers({"Name": "caf\u00e9"})
    assert headers.serialize() == b"Name: caf\xe9\r\n\r\n"
    assert Request("/a?b", headers).serialize() == b"GET /a?b HTTP/1.1\r\nName: caf\xe9\r\n\r\n"
    response = Response(200, "OK", headers, b"body")
    assert response.serialize() == b"HTTP/1.1 200 OK\r\nName: caf\xe9\r\n\r\nbody"


def test_request_and_response_compare_and_print():
    assert Request("/", Headers()) == Request("/", Headers(), "GET", "HTTP/1.1")
    assert Response(200, "OK", Headers()) != Response(201, "OK", Headers())
    assert "path='/'" in repr(Request("/", Headers()))
    assert Response(200, "OK", Headers()).exception is None


@pytest.mark.parametrize(
    "code, text",
    [(1000, "normal"), (2999, "unknown"), (3000, "registered"), (3999, "registered")]
    + [(4000, "private"), (4999, "private"), (5000, "unknown"), (999, "unknown")],
)
def test_close_says_what_its_code_means(code, text):
    assert text in str(Close(code, ""))
    assert str(Close(code, "because")).endswith("because")


@pytest.mark.parametrize(
    "code, sent",
    [(999, 0), (1000, 1), (1003, 1), (1004, 0), (1005, 0), (1006, 0), (1007, 1), (1014, 1)]
    + [(1015, 0), (1016, 0), (2999, 0), (3000, 1), (4999, 1), (5000, 0)],
)
def test_close_check_refuses_what_never_travels(code, sent):
    if sent:
        Close(code, "").check()
        return
    with pytest.raises(ProtocolError, match=str(code)):
        Close(code, "").check()


@pytest.mark.parametrize("name", ["CloseCode", "Opcode"])
def test_numbers_are_those_of_websockets(name):
    theirs = getattr(pytest.importorskip("websockets.frames"), name)
    ours = {"CloseCode": CloseCode, "Opcode": Opcode}[name]
    assert {each.name: each.value for each in ours} == {each.name: each.value for each in theirs}
