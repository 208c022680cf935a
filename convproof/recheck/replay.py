"""Replays a proof term step by step, and reads what it states."""

from typing import Any

from convproof.recheck import periods, polynomials, printing, terms
from convproof.recheck.polynomials import formed, read_formula
from convproof.recheck.rules import Sequent, follows
from convproof.recheck.terms import Wrong, plain, require

MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def check(proof: Any) -> None:
    """Replays a proof term; raises `Wrong` unless its last step gives its conclusion from its hypotheses."""
    results, where = list[Sequent](), ""
    try:
        _begin(proof)
        for place, step in enumerate(proof["steps"]):
            where = f"step {place}: "
            known = type(step) is dict and step.keys() == {"rule", "arguments", "premises"}
            require(known, "a step has a rule, arguments, premises")
            rule, arguments, places = (plain(step[key]) for key in ("rule", "arguments", "premises"))
            earlier = all(type(each) is int and 0 <= each < place for each in places)
            require(earlier, "a premise must be an earlier step")
            hypotheses, conclusion = follows(rule, arguments, [results[each] for each in places])
            results.append((frozenset(map(formed, hypotheses)), formed(conclusion)))
        where = ""
        require(bool(results), "a proof has steps")
        require(results[-1][1] == read_formula(proof["conclusion"]), "the last step concludes something else")
        require(results[-1][0] <= set(_hypotheses(proof)), "the last step rests on a hypothesis that is not stated")
    except Wrong as error:
        raise Wrong(f"{where}{error}") from None
    except MALFORMED as error:
        raise Wrong(f"{where}malformed: {type(error).__name__}") from None


def statement(proof: Any) -> str:
    """What a proof term states, be it proved or not: `check` tells. Raises `Wrong` where it states nothing."""
    try:
        _begin(proof)
        conclusion = read_formula(proof["conclusion"])
        return printing.sequent(_hypotheses(proof), conclusion)
    except MALFORMED as error:
        raise Wrong(f"malformed: {type(error).__name__}") from None


def _begin(proof: Any) -> None:
    terms.restart()
    polynomials.forget()
    periods.forget()
    known = type(proof) is dict and {"hypotheses", "conclusion", "steps"} <= proof.keys()
    require(known and type(proof["steps"]) is list, "no proof term")


def _hypotheses(proof: Any) -> list[Any]:
    """As they are stated, in their order."""
    return [formed(each) for each in plain(proof["hypotheses"])]
