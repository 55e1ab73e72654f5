"""What the benchmarks share: whether they are run for what they assert, not for the time."""

import pytest


@pytest.fixture(scope="session")
def quick(request) -> bool:
    """With --benchmark-disable nothing is timed: then sizes are small, and one thread is enough."""
    return request.config.getoption("benchmark_disable")
