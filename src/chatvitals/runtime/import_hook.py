"""A hook that runs after the import of a client library (tests/safety/README.md 76)."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class ImportHook:
    """A finder that finds nothing itself, but runs `call` after the import of each of `names`.

    Args:
        names: full names of modules.
        call: function without arguments. It must not raise.

    """

    def __init__(self, names: Collection[str], call: Callable[[], None]) -> None:
        self._names = frozenset(names)
        self._call = call
        self._busy = threading.local()

    def install(self) -> None:
        """Put this finder before all others. A second call does nothing."""
        if not any(finder is self for finder in sys.meta_path):
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Remove this finder."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec from the other finders, with a loader that calls us. Return None for other modules."""
        if name not in self._names or getattr(self._busy, "on", False):
            return None
        self._busy.on = True
        try:
            for finder in list(sys.meta_path):
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = None if find is None else find(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader, self._call)  # type: ignore[assignment]  # it is one
                    return spec
        finally:
            self._busy.on = False
        return None


class _Loader:
    """The loader of one module, which restores the original loader before the module can see it."""

    def __init__(self, bare: Any, call: Callable[[], None]) -> None:
        self._bare = bare
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bare, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module with its own loader."""
        create = getattr(self._bare, "create_module", None)
        made: ModuleType | None = None if create is None else create(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own loader, and call us afterwards."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._bare
        module.__loader__ = self._bare
        self._bare.exec_module(module)
        self._call()
