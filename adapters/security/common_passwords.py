"""The 30,000 most common passwords, as zxcvbn ships them: of leaks, in lower case."""

from functools import cached_property
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "zxcvbn"
MODULE, LIST = "frequency_lists", "passwords"


class CommonPasswords:
    """Read at the first question, which takes 10 ms and from then on 7 MB.

    From the one file that holds them: to import the package would keep all of its lists, indexed,
    which is 20 MB.
    """

    def __contains__(self, password: object) -> bool:
        return password in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        found = find_spec(PACKAGE)
        folders = None if found is None else found.submodule_search_locations
        if not folders:
            raise ModuleNotFoundError(f"{PACKAGE} is not installed", name=PACKAGE)
        name = f"{PACKAGE}.{MODULE}"
        loader = SourceFileLoader(name, str(Path(folders[0], f"{MODULE}.py")))
        code = loader.get_code(name)
        assert code is not None  # noqa: S101 - a source file has some
        lists: dict[str, dict[str, list[str]]] = {}
        exec(code, lists)  # noqa: S102 - the package's own file, as importing it would run it
        return frozenset(lists["FREQUENCY_LISTS"][LIST])
