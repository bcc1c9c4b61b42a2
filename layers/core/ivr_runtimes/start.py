"""The functions' cold start: what init leaves out. A function imports it first, and calls `done` last.

Owns two things. Python's collector rests meanwhile: init makes a few hundred thousand objects that stay, and looking
through them again and again finds nothing. And modules that libraries import but the functions never use are deferred:
they are loaded when something does ask for them, so that leaving them out changes no behaviour but the time.
benchmarks/README.md has the profile. Never imported by the agent: its start is not waited for.
"""

import gc
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

gc.disable()

_deferred: list[str] = []


class _Deferred(ModuleType):
    """A module that runs when the first of its names is asked for."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or _found(f"{self.__name__}.{name}", self.__dict__.get("__path__")):
            raise AttributeError(name)  # the import system asks; a submodule it loads by itself
        self.__class__ = ModuleType  # type: ignore[assignment]  # from here on a module as any other
        if self.__spec__ is not None and self.__spec__.loader is not None:
            self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer(name: str) -> ModuleType | None:
    """Put a module of a package off, without importing the package; None if it is loaded already, or there is none."""
    package = find_spec(name.partition(".")[0])
    path = package and package.submodule_search_locations
    for part in name.split(".")[1:-1]:
        path = path and [f"{folder}/{part}" for folder in path]
    spec = None if name in sys.modules or not path else PathFinder.find_spec(name, path)
    if spec is None:
        return None
    module = module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[name] = module
    _deferred.append(name)
    return module


def done() -> None:
    """Let the collector work again, but not on what init has made: that stays as long as the function does."""
    for name in _deferred:  # as the import system would have done it
        package, _, own = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], own, sys.modules[name])
    gc.freeze()
    gc.enable()


def _found(name: str, path: list[str] | None) -> bool:
    return path is not None and PathFinder.find_spec(name, path) is not None


def _undocumented(*_: object, **__: object) -> str:
    """Stand for the documentation of a client's method, which botocore would write if anyone read it."""
    return ""


def _defer_documentation() -> None:
    """Put botocore's writers of documentation off: each client's method gets one."""
    defer("botocore.docs")
    if docstrings := defer("botocore.docs.docstring"):
        for name in ("ClientMethodDocstring", "PaginatorDocstring", "WaiterDocstring"):
            setattr(docstrings, name, _undocumented)


_defer_documentation()
defer("urllib3.http2")  # reads the metadata of installed packages; AWS speaks HTTP/1.1 with us
