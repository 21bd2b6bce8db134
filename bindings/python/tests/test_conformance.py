"""The cases every surface shares, and proof that this driver can fail."""

from __future__ import annotations

import pytest

from conformance import NOT_HERE, Case, Failure, Runner, parse, read_cases

CASES = read_cases()
HERE = [case for case in CASES if not case.needs & NOT_HERE]


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    Runner().run(case)


def test_all_files_were_read() -> None:
    assert len(HERE) >= 150
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)), "case names are unique"


PLANTED = [
    'open -> OK\nset "k" "v" -> EXISTS',
    'open -> OK\nset "k" "v" -> OK\nget "k" -> OK "w"',
    'open -> OK\nset "k" "v" -> OK\nget "k" -> NOT_FOUND',
    'open at="{dir}" -> OK\nset "k" "v" -> OK\nopen at="{dir}" -> OK\nget "k" -> OK "w"',
    'open -> OK\nsnapshot "{dir}/file.kvs" -> OK entries=1',
    'open -> OK\nrestore "{dir}/file.kvs" -> OK',
    'open -> OK\nrecovery -> OK records=1',
    'open -> OK\nget "k" -> OK',
    'open -> OK\nset "k" "v" if=absent -> NOT_FOUND',
    'open -> OK\nset "k" "v" -> OK version=?v\nset "k" "v" -> OK version=$v',
    'open -> OK\nset "k" "v" -> OK version=?v\nset "k" "v" -> OK version=<$v',
    'open -> OK\nset "k" "v" ttl=600000 -> OK\nttl "k" -> OK ttl=1..10',
    'open -> OK\nset "k" "v" ttl=600000 -> OK\nttl "k" -> OK ttl=never',
    'open -> OK\nset "k" "v" -> OK\nget_many "k" "l" -> OK "v"',
    'open -> OK\nset "k" "v" -> OK\nkeys -> OK',
    'open on_remove=0 -> OK\nset "k" "v" -> OK\ndel "k" -> OK\nremoved 1 -> OK',
    'open on_remove=0 -> OK\nset "k" "v" -> OK\ndel "k" -> OK\nremoved 1 -> OK "expired" "k" "v"',
    'open -> OK\nstats -> OK entries=1',
    'open -> OK\nstats -> OK nonsense=1',
    'open -> OK\nincr "k" 1 -> OK number=2',
    'open nonsense=1 -> ERR_UNSUPPORTED message="no such text"',
    "open -> OK\nfrobnicate -> OK",
    "open -> OK\nget -> OK",
    "open -> OK\nlen",
    "open -> OK\nlen -> OK count=$unset",
    'get "k" -> NOT_FOUND',
]


@pytest.mark.parametrize("text", PLANTED)
def test_planted_fault_is_caught(text: str) -> None:
    [case] = parse("planted", b"case planted\n" + text.encode())
    with pytest.raises(Failure, match="planted:"):
        Runner().run(case)


def test_unknown_feature_is_refused() -> None:
    with pytest.raises(Failure, match="unknown feature"):
        list(parse("planted", b"case c\nneeds wings\n"))
