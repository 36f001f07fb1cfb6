"""Failed assertions of the worlds say what was compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("operations_runs")
