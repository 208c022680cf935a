"""Theories are judged by computing, and reports say the same in every format."""

import json
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import sympy
from exactly import forget
from hypothesis import strategies as st

from convproof import notes
from convproof.crosscheck import Relation
from convproof.crosscheck.relations import equal
from convproof.errors import InputError
from convproof.notes import Claim, Finding, Step, Theory, holds, judge
from convproof.proof import kernel
from convproof.report import (
    Bars,
    Derivation,
    Equation,
    Folded,
    Line,
    Report,
    Section,
    Table,
    Text,
    Windows,
    to_html,
    to_json,
    to_latex,
    to_markdown,
    typeset,
    write_file,
    write_report,
)  # fmt: skip
from convproof.symbolic import FloorDiv, symbols, window
from convproof.verdicts import Rung, Verdict
from terminal import convproof

W, F, S, P, C = symbols("W F S P C")
HOLDS = Relation("n is n", "n = n", st.integers(), lambda n: None, Rung.EXACT_SAMPLE)
GOOD = Theory(
    "good",
    1,
    "Good",
    "A statement.",
    "a source",
    equations=(Equation(W, W),),
    hypotheses=(Equation(W, F, ">="),),
    witness=(("W", 5), ("F", 3)),
    steps=(Step((W + 1) ** 2, W**2 + 2 * W + 1, "the square"),),
    relations=(HOLDS,),
)


# --- judging ----------------------------------------------------------------------------------------------------------


def test_a_theory_without_a_proof_is_unknown_with_its_rung():
    found = judge(GOOD, 10)
    assert (found.verdict, found.rung, found.steps) == (Verdict.UNKNOWN, Rung.EXACT_SAMPLE, (True,))
    assert found.reason == (
        "not proved for all sizes and values; it holds at the shapes and random integers tried, compared with =="
    )
    identity = replace(GOOD, relations=(HOLDS, replace(HOLDS, rung=Rung.IDENTITY)))
    assert judge(identity, 10).rung is Rung.EXACT_SAMPLE  # the weakest of its relations
    assert judge(replace(GOOD, relations=(replace(HOLDS, rung=Rung.IDENTITY),)), 10).rung is Rung.IDENTITY
    assert judge(replace(GOOD, relations=(HOLDS, replace(HOLDS, rung=Rung.MEASURED))), 10).rung is Rung.MEASURED


def test_a_theory_is_proved_where_all_its_theorems_are():
    one = Claim("one", "1 + 1 = 2", lambda: kernel.identity(("+", 1, 1), 2))
    wrong = Claim("wrong", "1 + 1 = 3", lambda: kernel.identity(("+", 1, 1), 3))
    found = judge(replace(GOOD, claims=(one,)), 10)
    assert (found.verdict, found.rung, found.sound) == (Verdict.PROVED, Rung.THEOREM, True)
    assert found.reason == "1 theorem, for all sizes and values that their hypotheses allow"
    found = judge(replace(GOOD, claims=(one, wrong)), 10)
    assert (found.verdict, found.rung, found.sound) == (Verdict.UNKNOWN, Rung.EXACT_SAMPLE, False)
    assert found.reason.endswith("compared with ==; not proved: wrong")
    against = replace(GOOD, claims=(one,), witness=(("W", 2), ("F", 3)))
    assert judge(against, 10).verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": (Step(W, W, "x"), Step((W + 1) ** 2, W**2 + 1, "wrong"))}, "line 2 of the derivation is false"),
        ({"witness": (("W", 2), ("F", 3))}, "the witness violates W >= F"),
        ({"witness": (("W", 2),)}, "the witness violates W >= F"),
        (
            {"relations": (replace(HOLDS, cases=st.integers(0, 99), check=lambda n: equal("n", n // 7, 0)),)},
            "n is n: fails, 7: n: 1 of 1 entries differ, at (): 1 instead of 0",
        ),
    ],
)
def test_what_speaks_against_a_theory_refutes_it(change, reason):
    found = judge(replace(GOOD, **change))
    assert (found.verdict, found.reason, found.sound) == (Verdict.REFUTED, reason, False)


def test_a_worked_example_has_no_verdict_unless_it_fails():
    example = replace(GOOD, equations=())
    assert judge(example, 5).verdict is None
    assert judge(replace(example, steps=(Step(W, F, "wrong"),)), 5).verdict is Verdict.REFUTED


@pytest.mark.parametrize("each", notes.load(), ids=lambda t: t.id)
def test_bundled_theories(each):
    found = judge(each, 25, seed=2)
    assert found.sound, found.reason
    assert each.source
    assert each.relations
    assert bool(each.hypotheses) <= bool(each.witness)
    assert found.verdict is (Verdict.PROVED if each.equations else None)


def test_theories_have_the_required_subjects():
    assert {t.id for t in notes.load()} >= {
        "output-size", "same-padding", "what-fits", "parameter-sharing", "receptive-field", "small-filters",
        "conv-backward", "vgg16-table", "alexnet-first-layer", "conv-demo",
    }  # fmt: skip


@pytest.mark.parametrize("each", [t for t in notes.load() if t.steps], ids=lambda t: t.id)
def test_every_line_of_a_derivation_says_something_and_can_fail(each):
    for step in each.steps:
        assert step.shown or step.left != step.right
        assert not holds(replace(step, right=step.right + 1))


@pytest.mark.parametrize("each", ["output_size", "what_fits", "same_padding", "alexnet_first_layer"])
def test_derivations_depend_on_the_window_law(each, monkeypatch, request):
    forget()
    request.addfinalizer(forget)
    right = window.position
    monkeypatch.setattr(window, "position", lambda axis, output, tap: right(axis, output, tap) + tap)
    found = notes.find([str(notes.bundled_folder() / f"{each}.py")])[0]
    assert not all(map(holds, found.steps))


def test_a_folder_of_theories(tmp_path):
    (tmp_path / "one.py").write_text(
        "from convproof.notes import Theory\ndef theory(): return Theory('one', 1, 'One', 'Nothing.', 'nowhere')\n"
    )
    assert [t.id for t in notes.load(tmp_path)] == ["one"]
    (tmp_path / "two.py").write_text("x = 1\n")
    with pytest.raises(InputError, match=r"two\.py: defines no function theory"):
        notes.load(tmp_path)


# --- what the notes print ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcome():
    return notes.derive(cases=20)


def test_wrong_figures_of_the_notes_are_found(outcome):
    wrong = {
        (j.theory.id, f.printed, str(f.computed)) for j in outcome.judgements for f in j.theory.findings if not f.agrees
    }
    assert wrong == {
        ("vgg16-table", "24M", "15237608"),
        ("vgg16-table", "93MB", "60950432"),
        ("vgg16-table", "93MiB", "60950432"),
        ("vgg16-table", "more than half", "30.5%"),
        ("alexnet-first-layer", "fits", "remainder 3"),
        ("pooling", "75.00%", "81.63%"),
        ("sliding", "6 of 6", "0 of 6"),
        ("sliding", "2", "4"),
        ("conv-backward", "flipped", "the first entry would be g_0*x_1 + g_1*x_0 and is g_0*x_0 + g_1*x_1"),
    }
    assert outcome.sound


def test_the_summary_counts(outcome):
    proofs = [p for j in outcome.judgements for p in j.proofs]
    assert notes.headline(outcome) == (
        f"{len(proofs)} of {len(proofs)} theorems proved; {len(outcome.judgements)} statements and examples, 0 refuted; "
        f"{len(outcome.bridge)} relations on drawn cases, 0 failing; 95 figures and claims of the notes, 9 wrong"
    )


def test_a_failing_relation_is_not_sound(outcome):
    broken = replace(outcome.bridge[0], holds=False, counterexample="here")
    assert not notes.Outcome(outcome.judgements, (broken,)).sound
    refuted = replace(outcome.judgements[0], verdict=Verdict.REFUTED)
    assert not notes.Outcome((refuted,), outcome.bridge).sound


# --- formats ----------------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script> & \\input{x} $x$ | `code` **b** {{ 7*7 }} %"
EVERYTHING = Report(
    "Title " + HOSTILE,
    "1.0",
    (Text(HOSTILE),),
    (
        Section(
            "all",
            "All " + HOSTILE,
            HOSTILE,
            (
                Text("plain `code`"),
                Equation(W, FloorDiv(W - F + 2 * P, S) + 1, "<="),
                Derivation((Line(Equation("left words", W), HOSTILE, True), Line(Equation(W, 3), "no", False))),
                Table(HOSTILE, ("name", "size"), ((HOSTILE, W**2), ("b", 1234567)), frozenset({1})),
                Bars(HOSTILE, "values", (("one", 1), (HOSTILE, 2_000_000))),
                Windows(HOSTILE, 5, (1, 0), ((-1, 0, 1), (1, 2, 3))),
                Folded(HOSTILE, (Text("inside"),)),
            ),
            "REFUTED",
            "identity",
            HOSTILE,
        ),
    ),
    {"theorems": [{"id": "x", "value": sympy.Rational(1, 2)}]},
)


def test_html_is_one_page_that_loads_nothing():
    page = to_html(EVERYTHING)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', page) == []
    for math in re.findall(r"<math.*?</math>|<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(math)
    assert "<code>code</code>" in page
    assert "left words" in page
    assert "(FALSE)" in page


def test_markdown_escapes_what_it_quotes():
    text = to_markdown(EVERYTHING)
    assert "<script>" not in text
    assert r"\<script\>" in text
    assert r"\left\lfloor \frac{W - F + 2 P}{S} \right\rfloor + 1" in text
    for row in (line for line in text.splitlines() if line.startswith("| ")):
        assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "1,234,567" in text


def test_latex_escapes_what_it_quotes():
    text = to_latex(EVERYTHING)
    assert r"\input" not in text
    assert r"\textbackslash{}input\{x\}" in text
    assert text.count("{") == text.count("}")
    assert text.startswith(r"\documentclass")


def test_json_is_the_whole_report():
    document = json.loads(to_json(EVERYTHING))
    assert document["schema"] == "convproof/1"
    assert document["theorems"] == [{"id": "x", "value": "1/2"}]
    kinds = [block["kind"] for block in document["sections"][0]["blocks"]]
    assert kinds == ["text", "equation", "derivation", "table", "bars", "windows", "folded"]
    assert document["sections"][0]["blocks"][3]["rows"][0] == [HOSTILE, "W**2"]


def test_the_command_writes_the_same_each_time(outcome, tmp_path):
    done = convproof("report", "-o", "out", "--cases", "20", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert sorted(os.listdir(tmp_path / "out")) == ["index.html", "report.json", "report.md", "report.tex"]
    assert "0 refuted" in done.stdout
    text = (tmp_path / "out" / "report.json").read_text()
    assert text == to_json(notes.report(outcome))
    document = json.loads(text)
    assert {(t["verdict"], t["rung"], t["rechecked"]) for t in document["theorems"]} == {("PROVED", "theorem", True)}
    assert {t["verdict"] for t in document["statements"]} == {"PROVED"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<math") >= 50
    assert page.count("<svg") >= 5
    assert page.count("<details") >= 20
    table = next(
        b for s in document["sections"] if s["id"] == "vgg16-table" for b in s["blocks"] if b["kind"] == "table"
    )
    assert len(table["rows"]) == 23
    assert table["rows"][-1][2:8:2] == [15_237_608, 138_344_128, 138_357_544]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (W - F + 2 * P, "W - F + 2 P"),
        (27 * C**2 + 3 * C, "27 C^{2} + 3 C"),
        (2 * FloorDiv(W, 2) - 1, r"2 \left\lfloor \frac{W}{2} \right\rfloor - 1"),
        (1 - W, "1 - W"),
    ],
)
def test_terms_stand_as_people_write_them(expression, expected):
    assert typeset.latex(expression) == expected


def test_mathml_of_a_floor():
    text = typeset.mathml(FloorDiv(W - 1, 2))
    assert "<mo>&#8970;</mo>" in text
    assert "InvisibleTimes" not in typeset.mathml(2 * W)
    ET.fromstring(f"<math>{text}</math>")


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_report_is_four_files(tmp_path):
    files = write_report(EVERYTHING, tmp_path / "a" / "b")
    assert sorted(f.name for f in files) == ["index.html", "report.json", "report.md", "report.tex"]
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == sorted(f.name for f in files)


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    target = tmp_path / "file.txt"
    target.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_file(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_links_are_followed_and_modes_kept(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_file(link, "new")
    assert (link.is_symlink(), real.read_text(), real.stat().st_mode & 0o777) == (True, "new", 0o640)


def test_folders_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another with -o"):
        write_report(EVERYTHING, tmp_path / "file" / "below")
    (tmp_path / "report.tex").mkdir()
    with pytest.raises(InputError, match=r"report\.tex is a folder"):
        write_report(EVERYTHING, tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_findings_are_shown_with_their_count():
    found = judge(replace(GOOD, findings=(Finding("a", "1", 2, False), Finding("b", "1", 1, True))), 5)
    assert "Figures and claims of the notes: 2, of which 1 wrong" in to_html(
        Report("r", "1", (), (notes.section(found),))
    )
