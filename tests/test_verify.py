"""`convproof verify` for other tools: JUnit XML and SARIF, well-formed whatever a theory is called; and the summary."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import convproof
from convproof.proof import AXIOMS, axioms, derived
from convproof.report import Result, printable, to_junit, to_sarif

HOSTILE = "<a href='x'>\"&amp;\" ]]> [/bold] \x00\x07\x1b[31m\ud800 ü𝒪 \\u0000"
SHOWN = "<a href='x'>\"&amp;\" ]]> [/bold] [31m ü𝒪 \\u0000"
THEORY = f"""
from convproof.proof import derived
from convproof.notes import Claim, Theory

NAME = {HOSTILE!r}


def holds():
    return derived.at_least(2, 1)


def breaks():
    raise ValueError(NAME)


def theory():
    return Theory(NAME, 1, NAME, NAME, NAME, claims=(
        Claim("holds", "Two is at least one.", holds),
        Claim(NAME, NAME, breaks),
        Claim("vacuous", "n >= 1, if it is.", lambda: derived.given("n >= 1"), (("n", 0),)),
    ))
"""
PROVED = "from convproof.proof import derived\nfrom convproof.notes import Claim, Theory\n\n\ndef theory():\n" + (
    "    claim = Claim('floor', 'Shifted.', lambda: derived.whole(('v', 'n'), derived.given('b >= 1'), 1), (('b', 2),))\n"
    "    return Theory('mine', 1, 'Mine', 'Mine.', 'nowhere', claims=(claim,))\n"
)


def verify(folder, *args, **options):
    command = [sys.executable, "-m", "convproof", "verify", *args]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=folder, timeout=120, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hostile theory.py").write_text(THEORY)
    (tmp_path / "proved.py").write_text(PROVED)
    return tmp_path


# --- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit_has_a_suite_for_a_theory_and_a_case_for_a_theorem(folder):
    done = verify(folder, "hostile theory.py", "proved.py", "--format", "junit")
    assert (done.returncode, done.stderr) == (1, "")
    root = ElementTree.fromstring(done.stdout)
    hostile, mine = root
    assert (root.tag, root.get("name"), root.get("tests"), root.get("failures")) == (
        "testsuites",
        "convproof",
        "4",
        "2",
    )
    assert [suite.get("name") for suite in root] == [SHOWN, "mine"]
    assert [(s.get("tests"), s.get("failures"), s.get("errors")) for s in root] == [("3", "2", "0"), ("1", "0", "0")]
    assert [(case.get("classname"), case.get("name")) for case in hostile] == [
        (SHOWN, "holds"),
        (SHOWN, SHOWN),
        (SHOWN, "vacuous"),
    ]
    for timed in (root, hostile, mine, *hostile, *mine):
        assert re.fullmatch(r"\d+\.\d{3}", timed.get("time"))
    assert [list(case) for case in (hostile[0], mine[0])] == [[], []]
    broken, vacuous = (case.find("failure") for case in hostile[1:])
    assert broken.get("type") == vacuous.get("type") == "UNKNOWN"
    assert broken.get("message") == f"UNKNOWN: the proof breaks off: ValueError: {SHOWN}"
    assert vacuous.get("message") == "UNKNOWN: the witness does not satisfy n >= 1"
    assert vacuous.text == "n >= 1, if it is.\nUNKNOWN: the witness does not satisfy n >= 1"


def test_junit_differs_from_run_to_run_in_its_times_alone(folder):
    runs = [verify(folder, "hostile theory.py", "--format", "junit").stdout for _ in range(2)]
    first, second = (re.sub(r'time="[\d.]+"', "", run) for run in runs)
    assert first == second
    assert first.isascii()


@pytest.mark.parametrize("code", [*range(32), 0x7F, 0x9B, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF])
def test_no_character_breaks_the_xml(code):
    text = f"a{chr(code)}b"
    (suite,) = ElementTree.fromstring(to_junit([Result(text, text, text, False, text, text)], "convproof"))
    assert suite.get("name") == (text if chr(code) in "\t\n" else "ab")
    assert suite[0].find("failure").get("type") == suite.get("name")


def test_a_theory_without_claims_is_an_empty_run_and_no_success(folder):
    (folder / "empty.py").write_text(
        "from convproof.notes import Theory\n\n\ndef theory():\n    return Theory('none', 1, '', '', '')\n"
    )
    done = verify(folder, "empty.py", "--format", "junit")
    root = ElementTree.fromstring(done.stdout)
    assert (done.returncode, root.get("tests"), list(root)) == (1, "0", [])


# --- SARIF ------------------------------------------------------------------------------------------------------------


def structure(text):
    """The run of a SARIF log, after a look at all that the standard requires of what stands in it."""
    log = json.loads(text)
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert set(run) == {"tool", "results"}
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("convproof", convproof.__version__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", driver["semanticVersion"])
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["id"]
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"] == {"level": "error"}
    for result in run["results"]:
        assert result["level"] == "error"
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        for location in result.get("locations", []):
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+", uri, re.ASCII)
            assert location["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
    return run


def test_sarif_has_a_rule_for_a_theorem_and_a_result_for_what_is_not_proved(folder):
    done = verify(folder, "hostile theory.py", "proved.py", "--format", "sarif")
    assert (done.returncode, done.stderr) == (1, "")
    run = structure(done.stdout)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [f"{SHOWN}.holds", f"{SHOWN}.{SHOWN}", f"{SHOWN}.vacuous", "mine.floor"]
    assert [result["ruleId"] for result in run["results"]] == rules[1:3]
    assert run["results"][1]["message"]["text"] == "n >= 1, if it is. UNKNOWN: the witness does not satisfy n >= 1"


def test_sarif_names_the_file_from_the_working_directory_on_and_the_line_of_the_proof(folder):
    def location(done):
        return structure(done.stdout)["results"][0]["locations"][0]["physicalLocation"]

    inside = location(verify(folder, "hostile theory.py", "--format", "sarif"))
    line = 1 + THEORY.splitlines().index("def breaks():")
    assert inside == {"artifactLocation": {"uri": "hostile%20theory.py"}, "region": {"startLine": line}}
    (folder / "below").mkdir()
    outside = location(verify(folder / "below", "../hostile theory.py", "--format", "sarif"))
    assert outside["artifactLocation"]["uri"] == (folder / "hostile theory.py").resolve().as_uri()


def test_sarif_is_the_same_from_run_to_run(folder):
    runs = {verify(folder, "hostile theory.py", "--format", "sarif").stdout for _ in range(2)}
    assert len(runs) == 1
    assert runs.pop().isascii()


def test_one_rule_for_results_of_one_id_and_no_location_for_what_stands_in_no_file():
    named = (("b", "One."), ("c", ""), ("b", "Another."))
    results = [Result("a", name, words, False, "UNKNOWN", "why") for name, words in named]
    run = structure(to_sarif(results, "convproof", convproof.__version__, Path.cwd()))
    assert [rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]] == ["One.", "a.c"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 1, 0]
    assert not any("locations" in result for result in run["results"])


def test_a_proof_that_is_no_function_of_a_file_has_no_location(folder):
    (folder / "made.py").write_text(
        "import functools\n\nfrom convproof.notes import Claim, Theory\n\n\n"
        "def theory():\n    claims = Claim('a', 'A.', functools.partial(int)), Claim('b', 'B.', eval('lambda: 0'))\n"
        "    return Theory('made', 1, '', '', '', claims=claims)\n"
    )
    run = structure(verify(folder, "made.py", "--format", "sarif").stdout)
    assert [result["message"]["text"] for result in run["results"]] == [
        f"{name}. UNKNOWN: the kernel refuses a step: a int is no theorem" for name in "AB"
    ]
    assert not any("locations" in result for result in run["results"])


# --- all formats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json", "junit", "sarif"])
def test_the_format_changes_neither_the_status_nor_where_it_goes(folder, form):
    done = verify(folder, "hostile theory.py", "--format", form)
    assert (done.returncode, done.stderr) == (1, "")
    done = verify(folder, "proved.py", "--recheck", "--format", form, "-o", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = (folder / "out").read_text(encoding="utf-8")
    assert "floor" in written
    if form in ("junit", "sarif"):
        shown = verify(folder, "proved.py", "--format", form).stdout
        assert re.sub(r'time="[\d.]+"', "", written) == re.sub(r'time="[\d.]+"', "", shown)


def test_a_format_that_there_is_not():
    done = verify(None, "--format", "yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'yaml' is not one of 'text', 'json', 'junit', 'sarif'" in done.stderr


def test_text_shows_no_control_character_and_keeps_every_bracket(folder):
    done = verify(folder, "hostile theory.py")
    assert (done.returncode, done.stderr) == (1, "")
    assert printable(done.stdout) == done.stdout
    assert SHOWN in done.stdout


def test_text_ends_in_the_axioms_and_oracles_in_use(folder):
    done = verify(folder, "proved.py", "--recheck")
    heading, row, given, _, summary, *rest = done.stdout.splitlines()
    assert heading.split() == ["theorem", "verdict", "rechecked", "statement"]
    assert row.split(maxsplit=3) == ["mine.floor", "PROVED", "yes", "(n + b*1)//b = n//b + 1"]
    assert given.strip() == "given b >= 1"
    used = axioms(derived.whole(("v", "n"), derived.given("b >= 1"), 1))
    assert "division" in used
    assert summary == f"1 of 1 theorems proved; axioms in use: {', '.join(used)}; no oracle in use"
    assert rest == [f"axiom {name}: {AXIOMS[name]}" for name in used]


def test_text_says_where_nothing_is_in_use(folder):
    (folder / "given.py").write_text(
        PROVED.replace("derived.whole(('v', 'n'), derived.given('b >= 1'), 1)", "derived.given('b >= 1')")
    )
    *_, summary = verify(folder, "given.py").stdout.splitlines()
    assert summary == "1 of 1 theorems proved; no axiom in use; no oracle in use"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals on this system")
def test_progress_is_shown_on_a_terminal(folder):
    mine, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "convproof", "verify", "hostile theory.py", "--format", "junit"],
            stdout=subprocess.PIPE, stderr=theirs, cwd=folder, timeout=120, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        while chunk := _read(mine):
            shown += chunk
    finally:
        os.close(mine)
    assert done.returncode == 1
    assert ElementTree.fromstring(done.stdout).get("tests") == "3"
    assert "0/3" in shown.decode()
    assert "[31m ü𝒪 \\u0000.vacuous" in shown.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
