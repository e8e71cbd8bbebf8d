"""Room for as many sockets as are allowed, whatever the shell's limit of open files."""

import resource
from collections.abc import Iterator

import pytest

from gateway.processes.serving import _allow_files


@pytest.fixture
def limits() -> Iterator[int]:
    """The hard limit; the soft one is 256 for as long as the test lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("wanted", "given"), [(3_024, 3_024), (100, 256)])
def test_the_soft_limit_is_raised_where_it_is_too_low(limits: int, wanted: int, given: int) -> None:
    _allow_files(wanted)

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (given, limits)


def test_the_hard_limit_is_the_most(limits: int) -> None:
    bounded = limits != resource.RLIM_INFINITY
    wanted, given = (limits + 1, limits) if bounded else (5_000, 5_000)

    _allow_files(wanted)

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (given, limits)
