"""What the description of the HTTP interface cannot say, for schemathesis."""

from __future__ import annotations

import schemathesis


def has_float(value: object) -> bool:
    """Whether a number in a body is written with a fraction."""
    match value:
        case dict():
            return any(has_float(member) for member in value.values())
        case list():
            return any(has_float(member) for member in value)
        case _:
            return isinstance(value, float)


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leaves out requests with two conditions, which a schema cannot declare to exclude each other, and with
    numbers such as 1.0, which are integers for a schema and not for the server."""
    has_two = {"If-Match", "If-None-Match"} <= set(case.headers or {})
    return not has_two and not has_float(case.body)
