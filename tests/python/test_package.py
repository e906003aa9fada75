"""What importing the package costs, and what it offers."""

import subprocess
import sys

import libws
import pytest

HEAVY = ("asyncio", "ssl", "logging", "socket", "http", "dataclasses", "libws._core")


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.parametrize("module", HEAVY)
def test_import_of_the_package_leaves_heavy_modules_alone(module):
    assert run(f"import sys, libws; print({module!r} in sys.modules)") == "False\n"


@pytest.mark.parametrize("name", libws.__all__)
def test_each_exported_name_is_there(name):
    value = getattr(libws, name)
    assert value is not None
    assert getattr(libws, name) is value
    assert name in dir(libws)


def test_names_for_import_star_are_those_that_have_a_home():
    assert libws.__all__ == sorted(libws._HOME.keys() - {"__version__"})


def test_version_is_that_of_the_module():
    from libws import _core

    assert libws.__version__ == _core.__version__


def test_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="colour"):
        libws.colour  # noqa: B018


@pytest.mark.parametrize("module", ["exceptions", "frames", "asyncio.client", "asyncio.server"])
def test_modules_are_attributes_of_the_package(module):
    code = f"import libws; print(libws.{module}.__name__)"
    if "." in module:
        code = f"import libws.{module}; print(libws.{module}.__name__)"
    assert run(code) == f"libws.{module}\n"


def test_every_exception_is_exported():
    from libws import exceptions

    assert set(exceptions.__all__) <= set(libws.__all__)


def test_the_asyncio_of_python_is_not_shadowed():
    assert run("import libws.asyncio.client, asyncio; print(hasattr(asyncio, 'run'))") == "True\n"
