"""The types that the package states are the types it has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import libkv
import typing_sample

HERE = Path(__file__).parent


def check(*command: str) -> None:
    # Pyright looks at the packages of the first python in PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        cwd=HERE,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sample_runs() -> None:
    typing_sample.main()


def test_the_sample_and_the_tests_are_strictly_typed(tmp_path: Path) -> None:
    check("mypy", "--strict", f"--cache-dir={tmp_path}", ".")


def test_pyright_has_nothing_to_say() -> None:
    package = Path(libkv.__file__).parent
    check("pyright", "--warnings", ".", str(package))


def test_every_public_type_is_known() -> None:
    # What says nothing of its type, so that a checker has to guess, is a failure.
    check("pyright", "--verifytypes", "libkv", "--ignoreexternal")


def test_the_stubs_fit_the_package() -> None:
    check("mypy.stubtest", "libkv")
