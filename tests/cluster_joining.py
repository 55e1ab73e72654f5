"""Runs shared out to a Dask cluster of two workers on this machine. Plain `pytest` does not collect
this file; `.ci/run all` names it.

    pip install -e ".[cluster]"
    pytest tests/cluster_joining.py
"""

import os

import dask
import joblib
import pytest
from dask.distributed import Client, LocalCluster
from test_joining import check_same, train

from rlbook.deep import join, ppo

SHARDS = [[0, 1], [2, 3]]


@pytest.fixture(scope="module")
def client():
    once = {"distributed.scheduler.allowed-failures": 0}  # a shard that kills its worker ends there
    with (
        dask.config.set(once),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def whole():
    return train(ppo, range(4))


def shard(run_ids, dies=()):
    if run_ids[0] in dies:
        os._exit(1)
    return train(ppo, run_ids)


def test_joblib_on_the_cluster(client, whole):
    """The README's lines, with another backend."""
    with joblib.parallel_config(backend="dask"):
        results = joblib.Parallel()(joblib.delayed(shard)(run_ids) for run_ids in SHARDS)
    check_same(join(results, run_ids=range(4)), whole)


def test_a_worker_that_dies_loses_its_shard_only(client, whole):
    """`errors="skip"` hands over what is there; the others are named, and trained again."""
    futures = client.map(shard, SHARDS, dies=[2])
    with pytest.warns(UserWarning, match=r"runs \[2, 3\] are missing"):
        left = join(client.gather(futures, errors="skip"), run_ids=range(4))
    assert left.run_ids == [0, 1] and [f.status for f in futures] == ["finished", "error"]
    again = client.submit(shard, [2, 3]).result()
    check_same(join([left, again], run_ids=range(4)), whole)
