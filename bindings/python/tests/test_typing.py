"""The types that the package states are the types it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typing_sample

HERE = Path(__file__).parent


def check(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=HERE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sample_runs() -> None:
    typing_sample.main()


def test_the_sample_and_the_tests_are_strictly_typed(tmp_path: Path) -> None:
    check("mypy", "--strict", f"--cache-dir={tmp_path}", ".")


def test_the_stubs_fit_the_package() -> None:
    check("mypy.stubtest", "libkv")
