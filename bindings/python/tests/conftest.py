"""Fixtures that the tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import libkv
from case_files import NOT_HERE, read_cases


@pytest.fixture
def store() -> Iterator[libkv.Store]:
    with libkv.open() as opened:
        yield opened


def pytest_report_header() -> str:
    cases = read_cases()
    off = [case for case in cases if case.needs & NOT_HERE]
    return f"conformance: {len(cases) - len(off)} cases run, {len(off)} need what Python has not"
