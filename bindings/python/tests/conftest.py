"""Fixtures that the tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import libkv
from case_files import read_cases
from places import AT, NOT_HERE


@pytest.fixture
def store() -> Iterator[libkv.Store]:
    with libkv.open() as opened:
        yield opened


def pytest_report_header() -> str:
    cases = read_cases()
    off = [case for case in cases if case.needs & NOT_HERE]
    where = "" if AT is None else f" on {AT}"
    return f"conformance{where}: {len(cases) - len(off)} cases run, {len(off)} need what is not here"
