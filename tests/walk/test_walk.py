"""Every field of a BlockSearch, with its boundaries and wrong values, against a real API server.

Run it by ``make walk``. WALK_FIELDS, the beginning of a path such as ``budget``, chooses some;
WALK_SEARCHES, a number, makes searches with so many values of each field, of those that the API
server accepts; whether a field has an effect at all is then not judged.
"""

import math
import os
import time
import uuid

import pytest
from benchmarks.operator.api import Api
from benchmarks.operator.process import OperatorProcess
from benchmarks.operator.runs import create_namespace
from searching import OPERATOR_USER, install
from walk import Walk
from walk_fields import cases
from walk_judge import NAMESPACES, Judge
from walk_trainers import stages

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.simulated import SimulatedNodes

NODES = 2

FIELDS = os.environ.get("WALK_FIELDS", "")
SEARCHES = float(os.environ.get("WALK_SEARCHES", "inf"))

ROUND = 400 if SEARCHES > 1 else 2000
"""Values in a round: more of them share the waiting, and need more memory."""


@pytest.mark.timeout(3600)
async def test_every_field_has_an_effect_or_is_refused_by_its_name(tmp_path, capsys):
    chosen = [case for case in cases() if case.field.startswith(FIELDS)]
    log, judge = tmp_path / "operator.log", Judge()
    name = f"walk-{uuid.uuid4().hex[:8]}"
    with (
        DevCluster.start(name, node=False) as cluster,
        SimulatedNodes(cluster, NODES, stages()),
    ):
        install(cluster)
        for namespace in NAMESPACES:
            create_namespace(cluster, namespace)
        operator = OperatorProcess(cluster.kubeconfig_for(OPERATOR_USER), NAMESPACES, log)
        operator.start()
        try:
            async with Api(cluster.kubeconfig) as api:
                walk = Walk(api, NODES, judge, SEARCHES)
                begun = time.monotonic()
                for first in range(0, len(chosen), ROUND):
                    await walk.round(chosen[first : first + ROUND])
                    with capsys.disabled():
                        print(f"{time.monotonic() - begun:.0f} s: {dict(judge.counts)}")
        finally:
            operator.kill()
    judge.finish(log.read_text(), all_values=math.isinf(SEARCHES))
    with capsys.disabled():
        print(f"\n{len({case.path for case in chosen})} fields, {len(chosen)} values:")
        for kind, count in judge.counts.items():
            print(f"  {kind}: {count}")
        print(f"  alarms: {len(judge.alarms)}")
        for alarm in judge.alarms:
            print(f"    {alarm}")
    assert not judge.alarms
