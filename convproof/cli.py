"""The command line. Every verb imports what it needs when it runs, so that `--help` and `--version` are quick.

Exit status: 0 clean, 1 something was found, 2 bad usage or bad input (one line on stderr).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import convproof
from convproof.errors import ConvproofError, Disagreement, InputError

if TYPE_CHECKING:
    from convproof.notes import Proof, Theory
    from convproof.report import Result
    from convproof.summary import Described, Pattern

_NETWORK_HELP = """
SPEC is one of

\b
  notation text    "INPUT[32x32x3] -> [CONV3-64 -> RELU]*2 -> POOL2 -> FC-10"
  a classic        vgg16, resnet50, unet, ...
  a file           model.onnx   (pip install 'convproof[onnx]')
  module:object    a Network, notation text or a torch.nn.Module in a
                   Python module; file.py:object in a file

\b
CONV3-64                  64 filters of 3x3, stride 1, padding (F-1)/2
CONV(K=96, F=11, S=4)     K filters of size F; stride S=1, padding P=0,
                          dilation D=1 (dense), groups G=1 where left out
POOL2  POOL(F=3, S=2)     max pooling; AVGPOOL(F=7, S=1), GLOBALAVGPOOL
FC-1000  FC(10, IN=400)   fully connected; IN demands so many inputs
RELU LRN BN DROPOUT SOFTMAX FLATTEN
[A -> B]*3                repetition; *N and X? describe families, in closed form
{ A | B | ID } ADD        branches, added or joined by CONCAT; MUL multiplies,
                          SCALE by one number a channel; RESIZE and PADTO bring
                          the first to the size of the second. ADD and MUL want
                          equal sizes; with BROADCAST=1 a size of 1 is repeated

"""

_NETWORK_NOTES = """

Sizes in the notation stand width first, INPUT[WxHxD]; they may be letters.
What is accepted are sizes of the letters, where some sizes are letters, and
else of the axes D, H, W.

Exit status 1: the network does not take the given input, or no input at all, or
an operation is unknown, or what --prove asks for is not proved; with --exact
also a stride that leaves a remainder.
"""


def _network_help() -> str:
    """The words of the notation, from the layer kinds."""
    from textwrap import fill

    from convproof.architecture.notation import MERGE_WORDS, WORDS

    words = []
    for name, word in {**WORDS, **MERGE_WORDS}.items():
        arguments = ", ".join(f"{each}=" for each in word.arguments)
        words.append(f"{name}({arguments})".replace(" ", "_") if arguments else name)
    listed = fill(" ".join(words), 78, break_long_words=False, break_on_hyphens=False)
    return f"{_NETWORK_HELP}\nAll words, with their arguments:\n\n\b\n{listed.replace(',_', ', ')}\n{_NETWORK_NOTES}"


class _NetworkCommand(click.Command):
    """Its epilog is made when it is asked for, so that other verbs load no layer kinds."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The words of the notation below the options."""
        self.epilog = _network_help()
        super().format_epilog(ctx, formatter)


def _written_as(*formats: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that say in which format a verb writes, and where to."""
    form = click.option(
        "--format", "form", default="text", show_default=True, type=click.Choice(formats), help="Output format."
    )
    where = click.Path(path_type=Path)
    output = click.option("-o", "--output", type=where, help="File to write to instead of the terminal.")
    return lambda command: form(output(command))


_DTYPES = ("float64", "float32", "bfloat16", "float16")
_OPTIMIZERS = ("sgd", "momentum", "adam")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(convproof.__version__, prog_name="convproof")
def cli() -> None:
    """Does a convolutional network fit, what does it cost and see, and is its gradient right?"""


@cli.command()
@click.option(
    "-o",
    "--output",
    default="convproof-report",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder to write to.",
)
@click.option(
    "--cases", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Cases drawn a relation."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the drawn cases.")
@click.option(
    "--format", "form", default="text", show_default=True, type=click.Choice(["text", "json"]), help="What to print."
)
def report(output: Path, cases: int, seed: int, form: str) -> None:
    """Derive everything and write the report.

    Judges every bundled theory, holds the formulas against running code, and writes index.html, report.md, report.tex
    and report.json. Wrong claims of the notes are what the report shows; they do not change the exit status. Exit
    status 1: a statement of the report itself is refuted, or formulas and running code disagree.
    """
    from convproof import notes
    from convproof.crosscheck import RELATIONS
    from convproof.report import prepare_folder, to_json, write_report

    prepare_folder(output)
    theories = notes.load()
    with _Progress(len(theories) + len(RELATIONS)) as progress:
        outcome = notes.derive(progress, cases, seed, theories)
        document = notes.report(outcome)
        files = write_report(document, output)
    if form == "json":
        _write(to_json(document), None)
    else:
        written = f"{notes.headline(outcome)}\nwritten: {', '.join(str(file) for file in files)}\n"
        _write(f"{_first_table(document.summary)}\n{written}", None)
    sys.exit(0 if outcome.sound else 1)


@cli.command()
@click.argument("theories", metavar="[THEORY ...]", nargs=-1)
@click.option("--recheck", "with_recheck", is_flag=True, help="Say of every proof that the second checker held.")
@_written_as("text", "json", "junit", "sarif")
def verify(theories: tuple[str, ...], with_recheck: bool, form: str, output: Path | None) -> None:
    """Prove theorems: the bundled ones, or those of theories named by id, file or folder.

    Every theorem is built by the kernel, its written proof is replayed by a second checker that shares no code with it,
    and a witness shows that its hypotheses can be met. Theory files are Python and are run. Exit status 1: a theorem is
    not proved.
    """
    from convproof import notes
    from convproof.report import printable, to_junit, to_sarif

    claims = [(each, claim) for each in notes.find(theories) for claim in each.claims]
    proofs = []
    with _Progress(len(claims)) as progress:
        for each, claim in claims:
            progress(printable(f"{each.id}.{claim.name}"))
            proofs.append((each, notes.prove(claim)))
    if form == "json":
        theorems = [{**notes.theorem_entry(each, proof), "seconds": round(proof.seconds, 3)} for each, proof in proofs]
        document = {"schema": "convproof/1", "theorems": theorems}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    elif form == "junit":
        text = to_junit(_results(proofs), "convproof")
    elif form == "sarif":
        text = to_sarif(_results(proofs), "convproof", convproof.__version__, Path.cwd())
    else:
        text = _rendered(lambda console: _show_proofs(proofs, with_recheck, console), to_file=output is not None)
    _write(text, output)
    sys.exit(0 if proofs and all(proof.proved for _, proof in proofs) else 1)


@cli.command(cls=_NetworkCommand)
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option(
    "--input",
    "images",
    metavar="[NAME=]HxWxC",
    multiple=True,
    help="Another input, height first; numbers or letters (224x224x3, HxWx3). By name, where a module reads several.",
)
@click.option("--tensor", metavar="NAME", help="Which output, of a file or a module that has several.")
@click.option(
    "--prove", is_flag=True, help="Prove the accepted sizes in the kernel, and replay the proof in the second checker."
)
@click.option(
    "--proof",
    "proof_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Prove, and write the proof; python -m convproof.recheck FILE replays it.",
)
@click.option("--batch", metavar="N", help="How many images memory is counted for; a number or a letter.")
@click.option(
    "--dtype",
    type=click.Choice(_DTYPES),
    help="In what numbers are stored, for memory.",
)
@click.option("--training", is_flag=True, help="The memory of a training step; modules are read as they train.")
@click.option("--optimizer", type=click.Choice(_OPTIMIZERS), help="What training keeps for each parameter.")
@click.option("--exact", is_flag=True, help="A stride that leaves a remainder counts as a finding (exit status 1).")
@_written_as("text", "json", "markdown")
def net(
    specs: tuple[str, ...],
    images: tuple[str, ...],
    tensor: str | None,
    prove: bool,
    proof_file: Path | None,
    batch: str | None,
    dtype: str | None,
    training: bool,
    optimizer: str | None,
    exact: bool,
    form: str,
    output: Path | None,
) -> None:
    """Networks: sizes, parameters, multiply-adds, activations, receptive field, and which inputs are accepted."""
    from convproof.resolve import read_batch, read_images, source
    from convproof.summary import Counted, Described, Pattern, described, patterns

    wanted, found = read_images(images), list[Described | Pattern]()
    training = training or optimizer is not None
    asked = Counted(read_batch(batch), dtype or "float32", optimizer or "sgd", training)
    counted = asked if training or batch or dtype else None
    prove = prove or proof_file is not None
    with _Progress(len(specs) if len(specs) > 1 or prove else 0) as progress:
        for spec in specs:
            progress(spec)
            try:
                own = wanted.get(spec) if isinstance(wanted, dict) and {*wanted} <= {*specs} else wanted
                each = source(spec, own, tensor, training)
                if not isinstance(each, str):
                    found.append(described(spec, each.network, each.imported, each.remarks, prove, counted))
                elif prove:
                    raise InputError("a family of networks is not proved; write numbers in place of * and ?")
                else:
                    found.extend(patterns(each))
            except ConvproofError as error:
                if len(specs) == 1:
                    raise
                raise InputError(f"{spec}: {error}") from None
    networks = [each for each in found if isinstance(each, Described)]
    if proof_file is not None:
        proofs = {each.name: each.proof.proof_term() for each in networks if each.proof is not None}
        _write(json.dumps(proofs, ensure_ascii=False) + "\n", proof_file)
    _write(_networks(found, form, to_file=output is not None), output)
    sys.exit(0 if all(each.fits(exact) for each in networks) else 1)


def main() -> None:
    """The entry point: errors become one line on stderr and exit status 2; Ctrl-C ends with 130."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        _fail(f"{error.format_message()} (see convproof --help)")
    except Disagreement as error:
        _fail(f"{error} Please report this.", status=1)
    except ConvproofError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt) as error:
        told = str(error) or str(error.__cause__ or "")  # click puts its own in place of what was raised
        click.echo(f"convproof: interrupted{told and ': '}{told}", err=True)
        sys.exit(130)
    except OSError as error:
        _fail(f"{error.filename or 'the output'}: {error.strerror or error}")


def _fail(message: str, status: int = 2) -> NoReturn:
    click.echo(f"convproof: {' '.join(message.split())}", err=True)
    sys.exit(status)


# --- showing what was found -------------------------------------------------------------------------------------------


def _networks(found: list[Described | Pattern], form: str, to_file: bool) -> str:
    """One or several networks in a format; several in JSON stand in a list."""
    from convproof.report import Report, to_markdown
    from convproof.summary import Pattern

    if form == "markdown":
        sections = tuple(each.section() for each in found)
        return to_markdown(Report("Networks", convproof.__version__, (), sections))
    if form == "json":
        documents = [each.to_json() for each in found]
        document = documents[0] if len(found) == 1 else {"schema": "convproof/1", "networks": documents}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def show(console: Any) -> None:
        for number, each in enumerate(found):
            if len(found) > 1:
                console.print(f"{chr(10) * (number > 0)}{each.name}\n", highlight=False, markup=False, style="bold")
            if isinstance(each, Pattern):
                console.print("\n".join(each.lines()), highlight=False, markup=False)
            else:
                _show(each, console)

    return _rendered(show, to_file)


def _show(each: Described, console: Any) -> None:
    """The table of layers, the totals, and in words which inputs fit."""
    from rich.table import Table

    block = each.table()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(block.columns):
        table.add_column(heading, justify="left" if number < 2 else "right", overflow="fold")
    for row in block.rows:
        table.add_row(*map(_shown, row))
    console.print(table)
    console.print()
    for line in (*each.totals(), *each.words()):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@cli.command()
@click.argument("target", metavar="TARGET")
@click.option("--op", required=True, metavar="OP", help="What it is said to compute: conv, max_pool, linear, ...")
@click.option("--vjp", metavar="TARGET", help="Its gradient, where TARGET is not an object that has both.")
@click.option("--cases", default=200, show_default=True, type=click.IntRange(1, 10**9), help="Cases to try.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of cases and numbers.")
@click.option("--rank", default=2, show_default=True, type=click.IntRange(1, 3), help="Spatial axes.")
@click.option("--xp", default="numpy", show_default=True, type=click.Choice(["numpy", "torch", "jax"]), help="Arrays.")
@click.option("--dtype", default="float64", show_default=True, help="What it sums and stores in.")
@click.option("--device", help="Where arrays are, such as cuda:0.")
@click.option(
    "--rounding", metavar="HOW", help="How it may round, if it does: sums, half, tf32, winograd, fft, cumulative."
)
@click.option("--without", multiple=True, metavar="FEATURE", help="Not supported: groups, dilation, ...; repeatable.")
@click.option("--dialect", multiple=True, metavar="KEY=VALUE", help="A convention: ties=last, layout=NHWC; repeatable.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds until a case counts as hanging.")
@click.option("--memory", default=8192, show_default=True, type=click.IntRange(0), help="MiB it may use; 0: no limit.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Check shards of 1000 cases, N at a time.")
@click.option("--backend", type=click.Choice(["loky", "dask", "ray"]), help="Where: this machine [loky], or a cluster.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="FILE", help="Journal of shards: begun, or gone on.")
@_written_as("text", "json", "junit", "sarif")
def check(form: str, output: Path | None, **options: Any) -> None:
    """Somebody's kernel against the definition, entry by entry and exactly.

    TARGET is module:object or file.py:object: a function, or an object with `forward` and `vjp`. It runs in a process
    of its own. Which arguments it gets stands in the docstring of `convproof.testing.check_...`. Exit status 1: it is
    wrong.

    With --jobs, --backend or --resume the cases are checked in shards, and the report does not depend on how many at a
    time. dask and ray start workers here, or use the cluster that DASK_SCHEDULER_ADDRESS or RAY_ADDRESS names. After an
    interruption the same command with the same --resume FILE goes on.
    """
    from convproof.testing import command

    job = command.job(**options)
    with _Progress(job.steps) as progress:
        report = job.run(progress)
    _write(command.text(report, form, options["target"], convproof.__version__), output)
    sys.exit(0 if report.ok else 1)


def _results(proofs: list[tuple[Theory, Proof]]) -> list[Result]:
    """The proofs for other tools; each stands where the function that builds it does."""
    from convproof.report import Result

    found = []
    for each, proof in proofs:
        verdict = proof.verdict.value, proof.reason, proof.seconds
        found.append(Result(each.id, proof.claim.name, proof.claim.words, proof.proved, *verdict, *_where(proof)))
    return found


def _where(proof: Proof) -> tuple[Path | None, int | None]:
    code: Any = getattr(proof.claim.prove, "__code__", None)
    file = Path(code.co_filename) if code else None
    return (file, code.co_firstlineno) if file and file.is_file() else (None, None)


def _show_proofs(proofs: list[tuple[Theory, Proof]], with_recheck: bool, console: Any) -> None:
    """A line a theorem, the count, and what is in use: axioms and oracles."""
    from rich.table import Table
    from rich.text import Text

    from convproof.notes import theorem_entry
    from convproof.proof import AXIOMS
    from convproof.report import printable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("theorem", "verdict", *(["rechecked"] if with_recheck else []), "statement"):
        table.add_column(heading, overflow="fold")
    entries = [(proof, theorem_entry(each, proof)) for each, proof in proofs]
    for proof, data in entries:
        given = "".join(f"\n  given {hypothesis}" for hypothesis in data["hypotheses"])
        checked = [("yes" if data["rechecked"] else "no")] if with_recheck else []
        cells = (data["id"], data["verdict"], *checked, proof.reason or data["statement"] + given)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    axioms, oracles = (sorted({name for _, data in entries for name in data[kind]}) for kind in ("axioms", "oracles"))
    proved = f"{sum(proof.proved for proof, _ in entries)} of {len(entries)} theorems proved"
    resting = f"axioms in use: {', '.join(axioms)}" if axioms else "no axiom in use"
    trusting = f"oracles in use: {', '.join(oracles)}" if oracles else "no oracle in use"
    console.print(table)
    console.print(f"\n{proved}; {resting}; {trusting}", highlight=False, markup=False)
    for name in axioms:
        console.print(f"axiom {name}: {AXIOMS[name]}", highlight=False, markup=False)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?" if value is None else str(value)


def _rendered(show: Callable[[Any], None], to_file: bool) -> str:
    """What `show` prints: as wide as the terminal, or as wide as needed where there is none."""
    import io

    from rich.console import Console

    terminal = sys.stdout is not None and sys.stdout.isatty() and not to_file
    buffer = io.StringIO()
    width = None if terminal else 400
    show(Console(file=buffer, force_terminal=terminal, width=width, soft_wrap=False))
    return "".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines())


def _first_table(blocks: Any) -> str:
    """The first table of a report's summary, for the terminal."""
    from rich.table import Table

    from convproof.report import Table as Block

    block = next(b for b in blocks if isinstance(b, Block))
    table = Table(*block.columns, box=None, pad_edge=False, header_style="bold")
    for index, row in enumerate(block.rows):
        table.add_row(*map(_shown, row), style="red" if index in block.marked else None)
    return _rendered(lambda console: console.print(table), to_file=False)


def _write(text: str, output: Path | None) -> None:
    from convproof.report import write_file

    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # no encoding has halves of characters
    if output is not None:
        write_file(output, text)
    elif sys.stdout is not None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Progress:
    """A progress bar on stderr that is called with the name of what comes next; silent where stderr is no terminal."""

    def __init__(self, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        name = TextColumn("{task.description}", markup=False)
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), name)
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=steps)
        self._begun = False

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, name: str) -> None:
        self._bar.update(self._task, description=name, advance=1 if self._begun else 0)
        self._begun = True
