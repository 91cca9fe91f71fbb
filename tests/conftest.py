"""Shared by every test: one thread a process, so that results and times do not depend on the machine's cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
