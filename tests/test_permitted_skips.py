"""A test that is left out is in a list, or the run fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from permitted_skips import unlisted

TESTS = Path(__file__).parent


def test_what_is_permitted():
    gpu, missing = "no GPU on this machine", "could not import 'peft': No module named 'peft'"
    peer = (
        "could not import 'stable_baselines3.common.buffers': No module named 'stable_baselines3'"
    )
    assert unlisted([("/tests/test_cuda.py", gpu), ("bench_gae.py", peer)]) == []
    assert unlisted([("/a/test_ppo.py", gpu)] * 2) == [f"test_ppo.py: {gpu}"]
    assert unlisted([("test_sampling.py", missing)]) == [f"test_sampling.py: {missing}"]
    assert unlisted([("bench_gae.py", missing)]) == [f"bench_gae.py: {missing}"]


IT = """
import pytest
def test_a(): pass
def test_b(): pytest.skip("no luck")
@pytest.mark.xfail
def test_c(): 1 / 0
"""


@pytest.mark.slow
def test_an_unlisted_skip_fails_the_run(tmp_path):
    (tmp_path / "test_it.py").write_text(IT, encoding="utf-8")
    (tmp_path / "test_all.py").write_text(
        "import pytest\npytest.importorskip('nowhere')\n", "utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "--rootdir", ".", "."]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if "permitted_skips.py" in line]
    assert done.returncode == 1 and len(found) == 2, done.stdout
    assert "test_all.py: could not import 'nowhere'" in found[0] and "no luck" in found[1]
