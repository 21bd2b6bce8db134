"""What the description of the HTTP interface cannot say, for schemathesis."""

from __future__ import annotations

import schemathesis


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leaves out requests with two conditions, which a schema cannot declare to exclude each other."""
    return not {"If-Match", "If-None-Match"} <= set(case.headers or {})
