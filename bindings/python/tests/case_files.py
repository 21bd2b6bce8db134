"""Reads the cases of tests/conformance: files into cases, lines into words, words into bytes.

Owns: the grammar of their README, and nothing of what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

DIRECTORY = Path(__file__).parents[3] / "tests" / "conformance"
FEATURES = frozenset(
    {
        "batch",
        "del_if",
        "directory",
        "engine",
        "files",
        "history",
        "keys",
        "last_fault",
        "location",
        "moment",
        "order",
        "raw_ttl",
        "scan",
        "servers",
        "set_many",
        "versions",
        "watch",
    }
)
NOT_IN_PYTHON = frozenset({"far_deadline", "get_into", "wide_ttl"})


class Failure(Exception):
    """A case that does not hold, or that cannot be read."""


@dataclass
class Line:
    number: int
    text: str


@dataclass
class Case:
    file: str
    name: str
    needs: frozenset[str] = frozenset()
    lines: list[Line] = field(default_factory=list)


def read_cases(directory: Path = DIRECTORY) -> list[Case]:
    cases: list[Case] = []
    for path in sorted(directory.glob("*.kvt")):
        cases.extend(parse(path.name, path.read_bytes()))
    return cases


def parse(file: str, data: bytes) -> Iterator[Case]:
    case: Case | None = None
    # Latin-1 keeps each byte as one character: quotes hold bytes, not text.
    for number, raw in enumerate(data.decode("latin-1").split("\n"), 1):
        text = raw.strip(" ")
        first, _, rest = text.partition(" ")
        if not text or text.startswith("#"):
            continue
        if first == "case":
            if case is not None:
                yield case
            case = Case(file, rest.strip(" "))
        elif case is None:
            raise Failure(f"{file}:{number}: before the first case")
        elif first == "needs":
            case.needs = frozenset(rest.split())
            if unknown := case.needs - FEATURES - NOT_IN_PYTHON:
                raise Failure(f"{file}:{number}: unknown feature {sorted(unknown)}")
        else:
            case.lines.append(Line(number, text))
    if case is not None:
        yield case


WORD = re.compile(r' *((?:"(?:[^"\\]|\\.)*"|[^ "])+)(?= |$)')
TERM = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\*([0-9]+))?(\+|$)')
ESCAPE = re.compile(r'\\(?:x([0-9a-fA-F]{2})|([\\"]))')
NUMBER = re.compile(r"(now|never|\$[^+-]+|-?[0-9]+)([+-][0-9]+)?")


def words(text: str) -> list[str]:
    found = []
    at = 0
    while at < len(text):
        match = WORD.match(text, at)
        if match is None:
            raise Failure(f"cannot read {text[at:]!r}")
        found.append(match[1])
        at = match.end()
    return found


def as_bytes(word: str) -> bytes:
    out = []
    at = 0
    more = True
    while more:
        match = TERM.match(word, at)
        if match is None:
            raise Failure(f"cannot read the bytes {word!r}")
        plain = ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], match[1])
        out.append(plain.encode("latin-1") * int(match[2] or 1))
        at = match.end()
        more = match[3] == "+"
    return b"".join(out)


def named(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Splits words into those without and those with a name."""
    plain = [word for word in arguments if word.startswith('"') or "=" not in word]
    names = [word.split("=", 1) for word in arguments if word not in plain]
    return plain, {name: word for name, word in names}


def changes_of(line: Sequence[str]) -> Iterator[list[str]]:
    """Splits the words of a batch into its changes, each with the words behind it."""
    starts = [n for n, word in enumerate(line) if word in ("set", "del", "expire")]
    if line and 0 not in starts:
        raise Failure(f"{line[0]} is no change")
    for start, end in pairwise([*starts, len(line)]):
        yield list(line[start:end])


def text_of(word: str) -> str:
    return as_bytes(word).decode() if word.startswith('"') else word
