"""The cases every surface shares, and proof that this driver can fail."""

from __future__ import annotations

import pytest

from case_files import Case, Failure, parse, read_cases
from conformance import Runner
from places import AT, NOT_HERE

CASES = read_cases()
HERE = [case for case in CASES if not case.needs & NOT_HERE]


@pytest.mark.parametrize("case", HERE, ids=lambda case: f"{case.file}-{case.name}")
def test_case(case: Case) -> None:
    Runner().run(case)


def test_all_files_were_read() -> None:
    assert len(HERE) >= (390 if AT is None else 200)
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
    'open -> OK\nwrite set "k" "v" del "k" -> OK applied=1',
    'open -> OK\nwrite del "k" -> OK missing=0',
    'open -> OK\nwrite set "k" "v" if=present -> OK',
    'open -> OK\nwrite set "j" "v" set "k" "v" if=present -> CONFLICT failed=0',
    'open -> OK\nwrite frobnicate "k" -> OK',
    'open -> OK\nwrite del "k" if=absent -> OK',
    'open -> OK\nset "k" "v" -> OK\nscan -> OK',
    'open -> OK\nset "k" "v" -> OK\nscan prefix="x" -> OK "k" "v"',
    'open -> OK\nset "k" "v" -> OK\nscan keys_only=1 -> OK "k" "v"',
    'open -> OK\nscan colour=1 -> OK',
    'open -> OK\nwatch -> OK\nset "k" "v" -> OK\nevent -> TIMEOUT',
    'open -> OK\nwatch -> OK\nset "k" "v" -> OK\nevent -> OK "deleted" "k" ""',
    'open -> OK\nwatch -> OK\nset "k" "v" -> OK\nevent -> OK',
    "open -> OK\nwatch -> OK\nevent -> DONE",
    "open -> OK\nevent -> TIMEOUT",
    'open -> OK\nset "k" "v" -> OK version=?v\ndel_if "k" $v+1 -> OK',
    "open -> OK\nlast_fault -> ERR_PANIC",
    "open -> OK\nfrobnicate -> OK",
    "open -> OK\nget -> OK",
    "open -> OK\nlen",
    "open -> OK\nlen -> OK count=$unset",
    'get "k" -> NOT_FOUND',
]


@pytest.mark.skipif(AT is not None, reason="mistakes are planted in cases of this process")
@pytest.mark.parametrize("text", PLANTED)
def test_planted_fault_is_caught(text: str) -> None:
    [case] = parse("planted", b"case planted\n" + text.encode())
    with pytest.raises(Failure, match="planted:"):
        Runner().run(case)


def test_unknown_feature_is_refused() -> None:
    with pytest.raises(Failure, match="unknown feature"):
        list(parse("planted", b"case c\nneeds wings\n"))
