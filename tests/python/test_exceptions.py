"""libws.exceptions: the tree of websockets, and texts that name what is wrong."""

import copy
import pickle

import pytest
from libws import exceptions
from libws.datastructures import Headers
from libws.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidOrigin,
    InvalidParameterValue,
    InvalidProxyStatus,
    InvalidState,
    InvalidStatus,
    InvalidURI,
    PayloadTooBig,
)
from libws.frames import Close
from libws.http11 import Response

THE_END = Close(1000, "the end")
LEAVING = Close(1001, "")
NOT_FOUND = Response(404, "Not Found", Headers())


@pytest.mark.parametrize("name", exceptions.__all__)
def test_bases_are_those_of_websockets(name):
    theirs = getattr(pytest.importorskip("websockets.exceptions"), name)
    ours = getattr(exceptions, name)
    assert [base.__name__ for base in ours.__mro__] == [base.__name__ for base in theirs.__mro__]


@pytest.mark.parametrize(
    "error, text",
    [
        (ConnectionClosedError(None, None), "no Close frame was sent or received"),
        (ConnectionClosedError(THE_END, None), "received 1000 (normal closure) the end, sent no"),
        (ConnectionClosedError(None, LEAVING), "sent 1001 (going away), received no Close"),
        (ConnectionClosedOK(THE_END, LEAVING, True), "the end, then sent 1001 (going away)"),
        (ConnectionClosedOK(THE_END, LEAVING, False), "sent 1001 (going away), then received 1000"),
        (InvalidURI("ftp://x", "not ws"), "ftp://x: not ws"),
        (InvalidStatus(NOT_FOUND), "404"),
        (InvalidProxyStatus(NOT_FOUND), "404"),
        (InvalidHeader("Upgrade"), "Upgrade header is missing"),
        (InvalidHeader("Upgrade", ""), "Upgrade header is empty"),
        (InvalidHeader("Upgrade", "h2c"), "h2c"),
        (InvalidHeaderFormat("N", "a comma", "x,", 1), "a comma, at character 1 of x,"),
        (InvalidOrigin("https://a"), "https://a"),
        (InvalidParameterValue("n", None), "has no value"),
        (PayloadTooBig(10, 5), "10 bytes; the limit is 5 bytes"),
        (PayloadTooBig(None, 5, 3), "after 3 bytes"),
        (PayloadTooBig("said so"), "said so"),
    ],
)
def test_text_names_what_is_wrong(error, text):
    assert text in str(error)
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(other) == str(error)


def test_connection_closed_has_code_and_reason_of_what_was_received():
    error = ConnectionClosedOK(THE_END, LEAVING, True)
    assert (error.code, error.reason) == (1000, "the end")
    assert (error.rcvd, error.sent, error.rcvd_then_sent) == (THE_END, LEAVING, True)
    assert (ConnectionClosedError(None, LEAVING).code, ConnectionClosed(None, None).reason) == (
        1006,
        "",
    )


@pytest.mark.parametrize("arguments", [(THE_END, LEAVING, None), (THE_END, None, True)])
def test_connection_closed_with_an_order_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(ValueError, match="rcvd_then_sent"):
        ConnectionClosed(*arguments)


def test_mistakes_of_the_caller_are_what_python_calls_them():
    assert issubclass(ConcurrencyError, RuntimeError)
    assert issubclass(InvalidState, AssertionError)
