"""Campaigns: the split into shards, the journal, and that the report is the same however they were run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from convproof.errors import InputError
from convproof.testing import campaign as campaigns
from convproof.testing.campaign import Campaign, Results, run
from convproof.testing.checks import DEFAULT
from convproof.testing.dialects import Dialect
from convproof.testing.isolated import Target
from convproof.testing.journal import Journal
from convproof.testing.result import Failure, Report
from terminal import convproof

KILLS = int(os.environ.get("CONVPROOF_KILLS", "3"))
"""How often a campaign is killed; .ci/full asks for more."""

KERNELS = """
import numpy as np


def linear(x, w, b):
    return x @ w.T if b is None else x @ w.T + b


def without_bias(x, w, b):
    return x @ w.T
"""


def of(kernel="linear", **changes):
    """A campaign of four shards."""
    target = Target("linear", f"kernels.py:{kernel}", None, "numpy", "float64", None, Dialect())
    return replace(Campaign(target, 2, 45, 0, DEFAULT, 30.0, 8192, 12), **changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "kernels.py").write_text(KERNELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- the split --------------------------------------------------------------------------------------------------------


def test_the_split_is_a_function_of_seed_cases_and_size():
    shards = of(cases=2345, size=100).shards()
    assert shards == of(cases=2345, size=100, target=None).shards()
    assert [each.number for each in shards] == list(range(24))
    assert [each.cases for each in shards] == [100] * 23 + [45]


def test_no_two_shards_share_a_seed():
    """A check draws from its seed and, where cases are left out, from seven more."""
    drawn = [
        each.seed + turn * 2**32
        for seed in (0, 1, 2)
        for each in of(seed=seed, cases=200, size=10).shards()
        for turn in range(8)
    ]  # fmt: skip
    assert len(set(drawn)) == len(drawn) == 3 * 20 * 8
    assert min(drawn) >= 2**64  # below are those of checks in one process


# --- merging ----------------------------------------------------------------------------------------------------------


def report(cases, *failures, miss=0.1, corners=0, **skipped):
    told = tuple(Failure(relation, case, "", "", "") for relation, case in failures)
    return Report(
        "kernels.py:linear", "linear", 3 * cases, 2 * cases, cases, told, miss, "", skipped, corners
    ).to_json()


def merged(reports, **changes):
    results = Results()
    for number in sorted(reports, key=lambda number: -number):
        results.add(number, reports[number])
    return results.merged(of(size=10, **changes))


def test_a_merged_report_adds_up():
    found = merged(
        {0: report(10, corners=4, bias=2), 1: report(10, miss=None, bias=1, groups=5), 2: report(5, miss=0.3)}, cases=25
    )
    assert (found.cases, found.checks_run, found.checks_declared, found.corners) == (25, 75, 50, 4)
    assert found.skipped == {"bias": 3, "groups": 5}
    assert found.miss_probability == 0.3
    assert found.ok
    assert merged({0: report(10, miss=None)}, cases=10).miss_probability is None


def test_the_failure_of_the_lowest_shard_is_shown():
    found = merged({0: report(10), 1: report(10, ("y", "b")), 2: report(10, ("dX", "c"), ("y", "a"))}, cases=30)
    assert [(each.relation, each.case) for each in found.failures] == [("y", "b"), ("dX", "c")]


def test_too_few_cases_are_told_of_the_whole_campaign():
    found = merged({0: report(10), 1: report(4, ("MISTRUSTED", ""))}, cases=20)
    assert [each.detail for each in found.failures] == [
        "only 14 of 20 cases could be run; support more, or ask for fewer cases"
    ]


def test_enough_failures_end_a_campaign_at_the_same_shard_in_any_order():
    wrong = {number: report(10, ("y", str(number))) for number in range(60)}
    numbers = [*range(60)]
    random.Random(1).shuffle(numbers)
    results = Results()
    for number in numbers:
        results.add(number, wrong[number])
    assert results.enough
    assert results.counted == campaigns.ENOUGH
    assert results.merged(of(cases=600, size=10)).cases == 10 * campaigns.ENOUGH


def test_a_kernel_that_does_not_come_back_ends_a_campaign():
    results = Results()
    results.add(1, report(10))
    results.add(0, report(3, ("gone", "")))
    assert (results.enough, results.counted) == (True, 1)


def test_reports_can_be_read_again():
    one = Report("k", "conv", 3, 2, 1, (Failure("y", "Case()", "off", "", "print()"),), 3e-05, "whole", {"bias": 2}, 1)
    assert Report.from_json(json.loads(json.dumps(one.to_json()))) == one


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_journal_keeps_shards(tmp_path):
    file = tmp_path / "j"
    with Journal(file, {"seed": 0}) as journal:
        journal.add(3, report(10))
        journal.add(1, report(5))
    with Journal(file, {"seed": 0}) as journal:
        assert journal.finished == {3: report(10), 1: report(5)}


def test_a_line_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    with Journal(tmp_path / "j", {}) as journal:
        journal.add(0, report(10))
        assert synced[-1] == (tmp_path / "j").stat().st_size


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_last_line_is_ignored_and_cut_off(tmp_path, kept):
    file = tmp_path / "j"
    with Journal(file, {"seed": 0}) as journal:
        journal.add(0, report(10))
        whole = file.read_bytes()
        journal.add(1, report(10))
    last = file.read_bytes()[len(whole) :]
    file.write_bytes(whole + last[:kept])
    with Journal(file, {"seed": 0}) as journal:
        assert list(journal.finished) == [0]
        assert file.read_bytes() == whole
        journal.add(1, report(10))
    assert file.read_bytes() == whole + last


def test_a_torn_header_is_written_anew(tmp_path):
    file = tmp_path / "j"
    with Journal(file, {"seed": 0}):
        header = file.read_bytes()
    for kept in (0, 7, len(header) - 1):
        file.write_bytes(header[:kept])
        with Journal(file, {"seed": 0}):
            assert file.read_bytes() == header


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shopping list", "is no journal of a campaign; name a file that is not there yet"),
        ("bread\nbutter\n", "is no journal of a campaign; name a file that is not there yet"),
        ("[1, 2]\n", "is no journal of a campaign; name a file that is not there yet"),
        ('{"convproof campaign": 2, "parameters": {}}\n', "is a journal of format 2, not 1; name another file"),
        (
            '{"convproof campaign": 1, "parameters": {"rank": 2, "seed": 3}}\n',
            "is the journal of another campaign: seed is 3 there and 0 here; name another file",
        ),
        (
            '{"convproof campaign": 1, "parameters": {"op": "conv", "rank": 2, "seed": 0}}\n',
            'is the journal of another campaign: op is "conv" there and null here; name another file',
        ),
    ],
)  # fmt: skip
def test_other_files_are_refused_and_left_alone(tmp_path, text, message):
    file = tmp_path / "j"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        Journal(file, {"rank": 2, "seed": 0})
    assert str(caught.value) == f"{file} {message}"
    assert file.read_text() == text


def test_a_damaged_line_is_named(tmp_path):
    file = tmp_path / "j"
    with Journal(file, {}):
        pass
    file.write_text(file.read_text() + '{"shard": 0, "rep\n')
    with pytest.raises(InputError, match="line 2: this is no finished shard; name another file"):
        Journal(file, {})


def test_a_journal_has_one_writer(tmp_path):
    pytest.importorskip("fcntl", reason="no locks on files here")
    with (
        Journal(tmp_path / "j", {}),
        pytest.raises(InputError, match="in use by another campaign; wait for it or name"),
    ):
        Journal(tmp_path / "j", {})


def test_parameters_are_all_that_results_depend_on(folder):
    one = of().parameters()
    assert json.loads(json.dumps(one)) == one
    for other in (
        of("without_bias"),
        of(seed=1),
        of(cases=46),
        of(size=9),
        of(rank=1),
        of(timeout=1),
        of(memory=1),
        of(supports=DEFAULT - {"bias"}),
    ):
        assert other.parameters() != one
    (folder / "kernels.py").write_text(KERNELS + "\n")
    assert of().parameters() != one


# --- running ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The journal of a campaign with one job, and its report."""
    place = tmp_path_factory.mktemp("campaign")
    (place / "kernels.py").write_text(KERNELS)
    before = os.getcwd()
    os.chdir(place)
    try:
        found = run(of(), journal=place / "j")
    finally:
        os.chdir(before)
    return (place / "j").read_text().splitlines(), found


def test_shards_are_checked_one_after_the_other(uninterrupted):
    lines, found = uninterrupted
    assert [json.loads(line)["shard"] for line in lines[1:]] == [0, 1, 2, 3]
    assert found.ok, str(found)
    assert found.cases == 45
    assert found.checks_run >= found.checks_declared == 90
    assert found.corners == json.loads(lines[1])["report"]["corners"] == 12


def test_two_jobs_report_the_same(folder, uninterrupted):
    seen = []
    assert run(of(), seen.append, jobs=2, journal=folder / "j") == uninterrupted[1]
    assert sorted((folder / "j").read_text().splitlines()) == sorted(uninterrupted[0])
    assert seen == ["shards of 12 cases"] * 5


def test_finished_shards_are_not_checked_again(folder, uninterrupted, monkeypatch):
    lines, whole = uninterrupted
    (folder / "j").write_text("\n".join([lines[0], lines[4], lines[2], lines[1], lines[3][:30]]))
    checked, one = [], campaigns.checked
    monkeypatch.setattr(
        campaigns, "checked", lambda setup, shard, place: (checked.append(shard.number), one(setup, shard, place))[1]
    )
    assert run(of(), journal=folder / "j") == whole
    assert checked == [2]
    assert run(of(), journal=folder / "j") == whole
    assert checked == [2]
    (folder / "j").write_text("\n".join([lines[0], lines[4].replace('"shard": 3', '"shard": 7'), ""]))
    with pytest.raises(InputError, match="the campaign has no shard 7; name another file"):
        run(of(), journal=folder / "j")


def test_a_wrong_kernel_is_wrong_in_every_order(folder):
    first, second = (run(of("without_bias", cases=24), jobs=jobs) for jobs in (1, 2))
    assert first == second
    assert not first.ok


def test_a_kernel_that_is_not_there_is_one_line(folder):
    with pytest.raises(InputError, match=r"^cannot import kernels.py:none: AttributeError: "):
        run(of("none"), jobs=2)


SCRIPT = """
import sys
from pathlib import Path

sys.path.insert(0, {tests!r})
from test_campaign import of
from convproof.testing.campaign import run

run(of(), lambda shard: print(".", end="", flush=True), jobs=2, journal=Path("j"))
"""


def test_a_killed_campaign_loses_and_repeats_nothing(folder, uninterrupted):
    moments = random.Random(KILLS)
    kept = b""
    for kill in range(KILLS):
        with open(folder / f"told{kill}", "wb") as told:
            command = [sys.executable, "-c", SCRIPT.format(tests=os.path.dirname(__file__))]
            started = subprocess.Popen(command, cwd=folder, stdout=told, start_new_session=True)
            time.sleep(moments.uniform(1, 8))
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        acknowledged = max(0, len((folder / f"told{kill}").read_bytes()) - 1)  # the first comes before any shard
        data = (folder / "j").read_bytes() if (folder / "j").exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        assert whole.startswith(kept)
        assert whole.count(b"\n") - 1 >= acknowledged or not acknowledged
        kept = whole
    assert run(of(), jobs=2, journal=folder / "j") == uninterrupted[1]
    assert (folder / "j").read_bytes().startswith(kept)
    assert sorted((folder / "j").read_text().splitlines()) == sorted(uninterrupted[0])


def test_a_dask_cluster_reports_the_same(folder, uninterrupted, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    dask = pytest.importorskip("dask")
    with distributed.LocalCluster(2, processes=True, threads_per_worker=1, dashboard_address=None) as cluster:
        with dask.config.set({"scheduler-address": cluster.scheduler_address}):
            assert run(of(), backend="dask", journal=folder / "j") == uninterrupted[1]
        assert len(cluster.scheduler_info["workers"]) == 2
    assert sorted((folder / "j").read_text().splitlines()) == sorted(uninterrupted[0])


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_goes_on_from_a_journal(folder):
    asked = ["check", "kernels.py:linear", "--op", "linear", "--cases", "30", "--resume", "j"]
    first = convproof(*asked, "--format", "json", cwd=folder)
    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout)["cases"] == 30
    assert convproof(*asked, "--jobs", "2", "--format", "json", cwd=folder).stdout == first.stdout
    other = convproof(*asked, "--seed", "1", cwd=folder)
    assert (other.returncode, other.stdout) == (2, "")
    assert (
        other.stderr
        == "convproof: j is the journal of another campaign: seed is 0 there and 1 here; name another file\n"
    )
    (folder / "kernels.py").write_text(KERNELS.replace("x @ w.T +", "x @ w.T + 1 +"))
    other = convproof(*asked, cwd=folder)
    assert other.stderr.startswith("convproof: j is the journal of another campaign: content of the target's file is ")


def test_ctrl_c_says_how_to_go_on(folder):
    command = [sys.executable, "-m", "convproof", "check", "kernels.py:linear", "--op", "linear", "--cases", "900000"]
    started = subprocess.Popen(
        [*command, "--jobs", "2", "--resume", "j"], start_new_session=True, stdout=-1, stderr=-1, text=True
    )
    while not (folder / "j").exists() or not (folder / "j").read_bytes():
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(started.pid, signal.SIGINT)
    printed, told = started.communicate(timeout=60)
    finished = len((folder / "j").read_text().splitlines()) - 1
    assert (started.returncode, printed) == (130, "")
    assert told.strip() == (
        f"convproof: interrupted: {finished} of 900 shards are finished and kept; "
        "the same command with --resume j goes on"
    )


def test_a_plain_check_does_not_load_joblib(folder):
    code = (
        "import sys; from convproof.cli import cli\n"
        "cli(['check', 'kernels.py:linear', '--op', 'linear', '--cases', '5'], standalone_mode=False)"
    )
    watched = f"import atexit, sys; atexit.register(lambda: print('joblib' in sys.modules))\n{code}"
    done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, cwd=folder, check=False)
    assert done.stdout.splitlines()[-1] == "False"


def test_too_many_cases_for_one_process_are_refused(folder):
    done = convproof("check", "kernels.py:linear", "--op", "linear", "--cases", "2000000", cwd=folder)
    assert (done.returncode, done.stderr) == (
        2, "convproof: --cases 2000000 is more than 1000000 for one process; --jobs N checks them in shards\n",
    )  # fmt: skip


@pytest.mark.parametrize(("backend", "module", "extra"), [("dask", "dask", "cluster"), ("ray", "ray", "ray")])
def test_a_backend_that_is_not_installed_is_named(folder, monkeypatch, backend, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as caught:
        run(of(), backend=backend)
    assert str(caught.value) == f"--backend {backend} needs {module}: pip install 'convproof[{extra}]'"
