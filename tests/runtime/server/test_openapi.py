"""The OpenAPI document against the running server, by schemathesis; and a storm of broken requests."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from benchmarks.serve import fuzz

SCHEMATHESIS = Path(sysconfig.get_path("scripts")) / "schemathesis"


@pytest.mark.slow
def test_the_server_answers_as_its_document_says(start, tmp_path):
    """Without the two endpoints that wait, and without the check that whatever fits the schema is accepted: a task needs a prompt or
    a picture, which must be one."""
    server = start("--max-queue", 5)
    done = subprocess.run([SCHEMATHESIS, "run", f"{server.address}/openapi.json", "--max-examples", "10", "--seed", "1", "--phases",
                           "coverage,fuzzing", "--exclude-path", "/v1/3d/generations", "--exclude-path", "/v1/tasks/{id}/events",
                           "--exclude-checks", "positive_data_acceptance", "--request-timeout", "30", "--no-color"],
                          capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:]
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 50
    assert server.ask("GET", "/healthz")[0] == 200


def test_broken_requests_leave_it_running(server):
    statuses = fuzz("127.0.0.1", server.port, 400, seed=3)
    assert server.ask("GET", "/healthz")[0] == 200
    assert sum(statuses.values()) == 400 and not [status for status in statuses if status >= 500]
