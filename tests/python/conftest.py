"""What all Python tests have in common: `async def` tests run, every warning is an error."""

import inspect
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "interop")]

import support  # noqa: E402 (found by the line above)


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "error")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    support.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate authority of the test's own, see tests/interop/certs.py."""
    import certs

    return certs.Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def server_context(authority):
    """An ssl.SSLContext of a server for localhost and 127.0.0.1."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue())
    return context
