"""Fewer multiplications by interpolation: the minimal filters F(m, r) of Winograd, derived and proved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product, starmap
from math import lcm, prod

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import QQ
from sympy.polys.rings import ring

from convproof import autograd as ag
from convproof.crosscheck import Relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.algebra import Term
from convproof.proof.derived import certificate, equals, given, symmetric, times
from convproof.proof.language import formula, term
from convproof.report import Equation, Table
from convproof.symbolic import symbols
from convproof.verdicts import Rung

POINTS = (0, 1, -1, 2, -2, 3, -3)
SIZES = ((2, 3), (4, 3), (2, 5), (6, 3))

Row = tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """One multiplication: the combination `taps`/`divisor` of the filter times the combination `data` of the inputs,
    which enters the outputs with the factors `outputs`.
    """

    outputs: Row
    taps: Row
    data: Row
    divisor: int


def products(m: int, r: int) -> list[Product]:
    """The m + r - 1 multiplications of F(m, r), by Lagrange interpolation at the first points and at infinity.

    Polynomials with m and with r coefficients have a product of degree m + r - 2, fixed by its values at m + r - 2
    points and its leading coefficient. Read as a trilinear form, with the product's place taken by the inputs, that is
    the correlation.
    """
    points = POINTS[: m + r - 2]
    found = []
    for a in points:
        others = [b for b in points if b != a]
        divisor = prod(a - b for b in others)
        sign = 1 if divisor > 0 else -1
        row = tuple(sign * c for c in _from_roots(others))
        found.append(Product(_powers(a, m), _powers(a, r), (*row, 0), sign * divisor))
    return [*found, Product(_last(m), _last(r), _from_roots(points), 1)]


def _from_roots(roots: Sequence[int]) -> Row:
    """The coefficients of the product of all x - root, the constant first."""
    found = [1]
    for root in roots:
        found = [before - root * here for before, here in zip([0, *found], [*found, 0], strict=True)]
    return tuple(found)


def _powers(a: int, count: int) -> Row:
    return tuple(a**k for k in range(count))


def _last(count: int) -> Row:
    return (*[0] * (count - 1), 1)


def scale(m: int, r: int) -> int:
    """The smallest number that makes all of the filter's combinations whole."""
    return lcm(*(each.divisor for each in products(m, r)))


def theory() -> Theory:
    m, r = symbols("m r")
    o, t = sympy.symbols("o t", integer=True)
    g, d = map(sympy.IndexedBase, "gd")
    return Theory(
        id="winograd",
        order=94,
        title="Fewer multiplications: Winograd's minimal filters",
        statement=(
            "F(m, r) computes m neighbouring outputs of a filter with r taps, at stride 1, with m + r - 1 "
            "multiplications instead of m r: interpolation at 0, 1, -1, 2, -2, ... and infinity. Nested, it serves two "
            "dimensions: F(2x2, 3x3) needs 16 instead of 36, F(4x4, 3x3) 36 instead of 144. The theorems pair the "
            "outputs with any numbers h: with h 1 at one output and 0 elsewhere they are about that output alone. They "
            "hold in exact arithmetic; in floats the larger sizes lose digits."
        ),
        equations=(Equation(sympy.Symbol("y_o"), sympy.Sum(g[t] * d[o + t], (t, 0, r - 1))),),
        hypotheses=(Equation(m, 1, ">="), Equation(r, 1, ">=")),
        witness=(("m", 2), ("r", 3)),
        steps=(
            *_steps(2, 3),
            Step(m * r - (m + r - 1), (m - 1) * (r - 1), "m r against m + r - 1", "multiplications saved"),
            Step(
                (m * r) ** 2 - (m + r - 1) ** 2,
                (m - 1) * (r - 1) * (m * r + m + r - 1),
                "a difference of squares: nested, they are (m r)^2 against (m + r - 1)^2",
                "saved in two dimensions",
            ),
        ),
        claims=(
            Claim("saves", "F(m, r) never needs more multiplications than m r.", _saves, (("m", 2), ("r", 3))),
            *(_claim(*size) for size in SIZES),
            Claim(
                "row",
                "F(2, 3) tile by tile makes a whole row of 2Q outputs, whatever Q is.",
                _row,
                (("Q", 3),),
            ),
            Claim(
                "channels",
                "With C channels the products are added up over the channels before the outputs are combined: one "
                "combination for all channels.",
                _channels,
            ),
            Claim(
                "square-2x2-3x3",
                "F(2x2, 3x3), nested: 16 multiplications for 4 outputs of 9 taps, 36 without: the tile at any place.",
                _square_2x2,
            ),
            Claim(
                "square-4x4-3x3",
                "F(4x4, 3x3), nested: the 36 multiplications U2 V2 for 16 outputs of 9 taps, 144 without. The "
                "transforms are taken at the points -2, ..., 3 along the first axis, and these again along the second.",
                _square_4x4,
                tuple((name, 0) for name in ("h", "g", "d", *(f"{name}{axis}" for name in "HUV" for axis in (1, 2)))),
            ),
        ),
        relations=(_LETTERS, _LETTERS_2D, _IMAGES),
        exhibits=tuple(table for size in SIZES[:2] for table in _tables(*size)),
        source=(
            "S. Winograd (1980), `Arithmetic Complexity of Computations`, chapter 5; A. Toom (1963) and S. Cook (1966) "
            "for the interpolation; A. Lavin and S. Gray (2016), `Fast Algorithms for Convolutional Neural Networks`, "
            "equations 5 to 12"
        ),
    )


def _claim(m: int, r: int) -> Claim:
    words = f"{m + r - 1} multiplications for {m} outputs of {r} taps, {m * r} without: the tile at any place p."
    return Claim(f"tile-{m}-{r}", f"F({m}, {r}): {words}", lambda: _tile(m, r))


def _steps(m: int, r: int) -> list[Step]:
    """The outputs of one tile, by the products, against their definition."""
    g, d = (sympy.symbols(f"{name}_0:{n}") for name, n in (("g", r), ("d", m + r - 1)))
    values = [
        sum(c * x for c, x in zip(p.taps, g, strict=True))
        / p.divisor
        * sum(c * x for c, x in zip(p.data, d, strict=True))
        for p in products(m, r)
    ]
    return [
        Step(
            sum(p.outputs[o] * value for p, value in zip(products(m, r), values, strict=True)),
            sum(g[t] * d[o + t] for t in range(r)),
            f"output {o} of F({m}, {r}): what the {m + r - 1} products add up to",
        )
        for o in range(m)
    ]


def _tables(m: int, r: int) -> tuple[Table, ...]:
    """The matrices of y = A^T ((G g) * (B^T d)), derived."""
    found = products(m, r)
    kinds = (
        ("A", m, [p.outputs for p in found]),
        ("G", r, [tuple(Fraction(c, p.divisor) for c in p.taps) for p in found]),
        ("B^T", m + r - 1, [p.data for p in found]),
    )
    names = [*map(str, POINTS[: m + r - 2]), "infinity"]
    return tuple(
        Table(
            f"F({m}, {r}): {kind}, one row a product",
            ("point", *map(str, range(columns))),
            tuple((name, *map(str, row)) for name, row in zip(names, rows, strict=True)),
        )
        for kind, columns, rows in kinds
    )


# --- one dimension ----------------------------------------------------------------------------------------------------

Values = Callable[[Term], Term]
"""A function of a place, counted from where it starts."""

O, T, P, Q, CHANNEL = map(term, ("o", "t", "p", "q", "c"))


def _saves() -> Theorem:
    """m >= 1, r >= 1 |- m r >= m + r - 1: the difference is (m - 1) (r - 1)."""
    return certificate(formula("m*r >= m + r - 1"), [given("m >= 1"), given("r >= 1")], [(1, [0, 1])])


def _beyond(start: Term, k: Term) -> Term:
    """The place k after the start."""
    return ("+", start, k) if start != 0 and k != 0 else start or k


def _from(name: str, *places: Term) -> Values:
    """A function to the reals whose last place is counted from the last one given."""
    *first, start = places
    return lambda k: ("re", name, *first, _beyond(start, k))


def _times(factor: Term, value: Term) -> Term:
    """Their product, without factors of 1."""
    factors = [part for each in (factor, value) for part in (each[1:] if _is_product(each) else [each]) if part != 1]
    return ("*", *factors) if len(factors) > 1 else factors[0] if factors else 1


def _is_product(value: Term) -> bool:
    return isinstance(value, tuple) and value[0] == "*"


def _combination(row: Sequence[Term], value: Values) -> Term:
    """A linear combination of values, without those that have the factor 0."""
    parts = [_times(c, value(k)) for k, c in enumerate(row) if c != 0]
    return parts[0] if len(parts) == 1 else ("+", *parts)


def _below(name: str, end: int, body: Term) -> Term:
    """The sum of body over name = 0, ..., end - 1."""
    return ("sum", name, 0, ("+", end, -1), body)


def _correlation(m: int, r: int, h: Values, g: Values, d: Values) -> Theorem:
    """|- the sum over o < m of h(o) times that over t < r of g(t) d(o + t) = its m r terms, added up."""
    window = sums.unrolled(_below("t", r, ("*", g(T), d(("+", term("s"), T)))))
    outputs = sums.unrolled(_below("o", m, ("*", h(O), _below("t", r, ("*", g(T), d(("+", O, T)))))))
    windows = [times(h(k), kernel.instantiate(window, {"s": k})) for k in range(m)]
    return equals(outputs.conclusion[1], ("+", *(each.conclusion[2] for each in windows)), outputs, *windows)


def _factors(each: Product, whole: int, h: Values, g: Values, d: Values) -> list[Term]:
    """A product: its weight where it makes `whole` times the outputs, and its three combinations."""
    rows = ((each.outputs, h), (each.taps, g), (each.data, d))
    return [whole // each.divisor, *(_combination(row, value) for row, value in rows)]


def _by_products(m: int, r: int, h: Values, g: Values, d: Values) -> Theorem:
    """|- scale times the sum over o < m of h(o) times that over t < r of g(t) d(o + t) = m + r - 1 products."""
    direct = times(scale(m, r), _correlation(m, r, h, g, d))
    parts = [_factors(each, scale(m, r), h, g, d) for each in products(m, r)]
    return equals(direct.conclusion[1], ("+", *(_times(weight, ("*", *rest)) for weight, *rest in parts)), direct)


def _tile(m: int, r: int) -> Theorem:
    """|- scale times the outputs p, ..., p + m - 1, paired with any h, = m + r - 1 products."""
    found = _by_products(m, r, _from("h", P), _from("g", 0), _from("d", P))
    left = term(f"{scale(m, r)}*sum o<{m}: h[p + o]*sum t<{r}: g[t]*d[p + o + t]")
    return equals(left, found.conclusion[2], found)


def _row() -> Theorem:
    """Q >= 0 |- twice the outputs below 2 Q, paired with any h, = the sum over the tiles q < Q of F(2, 3) at 2 q."""
    parts = sums.by_classes("Q", "q", "o", derived.at_least(2, 1), term("h[q]*sum t<3: g[t]*d[q + t]"))
    tile = kernel.instantiate(_tile(2, 3), {"p": term("2*q")})
    tiles = kernel.under_sum(("sum", "q", 0, term("Q - 1"), tile.conclusion[1]), tile)
    left = term("2*sum o<2*Q: h[o]*sum t<3: g[t]*d[o + t]")
    return equals(left, tiles.conclusion[2], times(2, parts), tiles)


def _channels() -> Theorem:
    """|- twice the outputs p and p + 1 of C channels, paired with any h, = 4 products with sums over the channels."""
    values = _from("h", P), _from("g", CHANNEL, 0), _from("d", CHANNEL, P)
    tile = _by_products(2, 3, *values)
    summed = kernel.under_sum(("sum", "c", 0, term("C - 1"), tile.conclusion[1]), tile)
    left = term("2*sum o<2: h[p + o]*sum c<C, t<3: g[c, t]*d[c, p + o + t]")
    parts = [
        _times(weight, ("*", outputs, ("sum", "c", 0, term("C - 1"), ("*", *rest))))
        for weight, outputs, *rest in (_factors(each, 2, *values) for each in products(2, 3))
    ]
    return equals(left, ("+", *parts), sums.reordered(left, summed.conclusion[1]), summed)


# --- two dimensions ---------------------------------------------------------------------------------------------------

SQUARE = "h[p + o1, q + o2]*sum t1<3, t2<3: g[t1, t2]*d[p + o1 + t1, q + o2 + t2]"


def _square_2x2() -> Theorem:
    """|- 4 times 2 x 2 outputs of 3 x 3 taps, paired with any h, = 16 products.

    Its terms are those of a correlation along the second axis for every output and tap along the first.
    """
    u, v = term("u"), term("v")
    line = _correlation(2, 3, _from("h", ("+", P, u), Q), _from("g", v, 0), _from("d", ("+", P, u, v), Q))
    window = sums.unrolled(_below("t1", 3, kernel.instantiate(line, {"v": term("t1")}).conclusion[1]))
    outputs = sums.unrolled(_below("o1", 2, kernel.instantiate(window, {"u": term("o1")}).conclusion[1]))
    windows = [kernel.instantiate(window, {"u": o}) for o in range(2)]
    lines = [kernel.instantiate(line, {"u": o, "v": t}) for o, t in product(range(2), range(3))]
    left = term(f"4*sum o1<2, o2<2: {SQUARE}")
    same = term("4*sum o1<2, o<2: " + SQUARE.replace("2", ""))
    ordered = sums.reordered(same, times(4, outputs).conclusion[1])
    right = ("+", *starmap(_nested, product(products(2, 3), repeat=2)))
    return equals(left, right, ordered, *(times(4, each) for each in (outputs, *windows, *lines)))


def _nested(a: Product, b: Product) -> Term:
    """A product along each axis, nested: 4 times what it adds to the outputs of F(2x2, 3x3)."""
    rows = ((a.outputs, b.outputs, "h", P, Q), (a.taps, b.taps, "g", 0, 0), (a.data, b.data, "d", P, Q))
    weight = 2 // a.divisor * (2 // b.divisor)
    parts = []
    for first, second, name, *start in rows:
        places = [(i, k) for i, k in product(range(len(first)), range(len(second))) if first[i] * second[k]]
        values = [_times(first[i] * second[k], ("re", name, *map(_beyond, start, (i, k)))) for i, k in places]
        parts.append(values[0] if len(values) == 1 else ("+", *values))
    return _times(weight, ("*", *parts))


# F(4x4, 3x3) by six numbers as points. At each, the filter is taken with its weight in Lagrange's formula.

SIX = range(-2, 4)
LCM = 120


def _power(a: Term, k: int) -> Term:
    return ("*", *[a] * k) if k > 1 else (1, a)[k]


def _transforms(a: Term, h: Values, g: Values, d: Values) -> tuple[Term, Term, Term]:
    """The outputs', the taps' and the inputs' combinations at the point a.

    The last belongs to the product of all x - b but x - a, whose coefficients are polynomials in a, by Horner's rule.
    """
    weight = ("+", *(_times(LCM // prod(b - c for c in SIX if c != b), ("is", a, b)) for b in SIX))
    whole = _from_roots(SIX)
    quotient = [_combination(whole[j + 1 :], lambda k: _power(a, k)) for j in range(6)]
    return (
        _combination([_power(a, k) for k in range(4)], h),
        ("*", weight, _combination([_power(a, k) for k in range(3)], g)),
        _combination(quotient, d),
    )


def _definitions(axis: int, point: Term, *values: Values) -> list[Theorem]:
    """For all a and b, the transforms at the point, by name."""
    places = term("a"), term("b")
    named = [("re", f"{name}{axis}", *places) for name in "HUV"]
    meant = _transforms(point, *values)
    return [kernel.assume(("all", "a", ("all", "b", ("=", *each)))) for each in zip(named, meant, strict=True)]


def _interpolated(name: str, named: Callable[[Term], Sequence[Theorem]], *values: Values) -> Theorem:
    """From the equations of named transforms at any point: the sum over the points of the products of the three = 120
    times the correlation.
    """
    points = sums.unrolled(("sum", name, SIX[0], SIX[-1], ("*", *(each.conclusion[1] for each in named(term(name))))))
    direct = times(LCM, _correlation(4, 3, *values))
    premises, factors = [points, direct], [(1, [0]), (-1, [1])]
    for equations in map(named, SIX):
        (_, y, z), (u, v, _) = ([each.conclusion[side] for each in equations] for side in (1, 2))
        factors += [(("*", *pair), [len(premises) + i]) for i, pair in enumerate(((y, z), (u, z), (u, v)))]
        premises += equations
    return certificate(("=", points.conclusion[1], direct.conclusion[1]), premises, factors)


def _at(definition: Theorem, a: Term, b: Term) -> Theorem:
    return kernel.specialize(kernel.specialize(definition, a), b)


def _first_axis() -> Theorem:
    """With H1, U1, V1 as defined |- the sum over a of H1[a, x] U1[a, y] V1[a, z] = 120 times the correlation along the
    first axis, with the outputs in column x, the taps in y and the inputs in z.
    """

    def columns(*names: str) -> tuple[Values, Values, Values]:
        x, y, z = map(term, names)
        return (
            lambda k: ("re", "h", _beyond(P, k), x),
            lambda k: ("re", "g", k, y),
            lambda k: ("re", "d", _beyond(P, k), z),
        )

    known = list(zip(_definitions(1, term("a"), *columns("b", "b", "b")), map(term, "xyz"), strict=True))
    return _interpolated("a", lambda point: [_at(each, point, b) for each, b in known], *columns("x", "y", "z"))


def _second_axis() -> Theorem:
    """With H2, U2, V2 as defined |- the sum over c of H2[a, c] U2[a, c] V2[a, c] = 120 times the correlation of H1, U1
    and V1 at the point a, along the second axis.
    """
    values = _from("H1", term("a"), Q), _from("U1", term("a"), 0), _from("V1", term("a"), Q)
    known = _definitions(2, term("b"), *values)
    return _interpolated("c", lambda point: [_at(each, term("a"), point) for each in known], *values)


def _square_4x4() -> Theorem:
    """With H1, U1, V1 the transforms along the first axis and H2, U2, V2 those of these along the second |- 120^2 times
    4 x 4 outputs of 3 x 3 taps, paired with any h, = the sum of 36 products.
    """
    second = sums.under([("a", SIX[0], SIX[-1])], _second_axis())
    turned = sums.reordered(
        second.conclusion[2], term("120*sum o<4, t<3, a=-2..3: H1[a, q + o]*U1[a, t]*V1[a, q + o + t]")
    )
    columns = {"x": term("q + o2"), "y": term("t2"), "z": term("q + o2 + t2")}
    ranges = [("o2", 0, term("4 - 1")), ("t2", 0, term("3 - 1"))]
    first = times(LCM, sums.under(ranges, kernel.instantiate(_first_axis(), columns)))
    square = term("14400*sum o<4, o2<4: " + SQUARE.replace("1", ""))
    left, right = term(f"14400*sum o1<4, o2<4: {SQUARE}"), second.conclusion[1]
    return equals(left, right, sums.reordered(square, first.conclusion[2]), *map(symmetric, (first, turned, second)))


# --- by running -------------------------------------------------------------------------------------------------------


def _matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T, scale times G, and B^T."""
    found = products(m, r)
    taps = [[scale(m, r) // p.divisor * c for c in p.taps] for p in found]
    return tuple(np.array(rows) for rows in (np.transpose([p.outputs for p in found]), taps, [p.data for p in found]))


def _letters(case: tuple[int, int]) -> None:
    """One tile in one dimension, every entry a letter."""
    (m, r), (a, g, b) = case, _matrices(*case)
    w, x = _arrays((r,), (m + r - 1,))
    y = a @ ((g @ w) * (b @ x))
    equal("tile", y, scale(m, r) * ag.conv(x[None, None], w[None, None]).numpy()[0, 0])


def _letters_2d(case: tuple[int, int]) -> None:
    """One tile in two dimensions, every entry a letter."""
    (m, r), (a, g, b) = case, _matrices(*case)
    w, x = _arrays((r, r), (m + r - 1, m + r - 1))
    y = a @ ((g @ w @ g.T) * (b @ x @ b.T)) @ a.T
    equal("tile", y, scale(m, r) ** 2 * ag.conv(x[None, None], w[None, None]).numpy()[0, 0])


def _arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Arrays of letters, in one ring."""
    sizes = [prod(shape) for shape in shapes]
    letters = ring([f"v{i}" for i in range(sum(sizes))], QQ)[1:]
    flat = np.array(letters, dtype=object)
    return [part.reshape(shape) for part, shape in zip(np.split(flat, np.cumsum(sizes)[:-1]), shapes, strict=True)]


def _images(case: tuple[tuple[int, int], tuple[int, int], int, int, int]) -> None:
    """A layer on a whole image, tile by tile: filters and tiles transformed once, channels added up in between."""
    (m, r), tiles, channels, filters, seed = case
    a, g, b = _matrices(m, r)
    rng = np.random.default_rng(seed)
    high, wide = (m * count + r - 1 for count in tiles)
    x, w = rng.integers(-512, 512, (channels, high, wide)), rng.integers(-512, 512, (filters, channels, r, r))
    transformed = g @ w @ g.T
    y = np.zeros((filters, m * tiles[0], m * tiles[1]), np.int64)
    for i, k in product(*map(range, tiles)):
        data = b @ x[:, m * i : m * i + m + r - 1, m * k : m * k + m + r - 1] @ b.T
        y[:, m * i : m * (i + 1), m * k : m * (k + 1)] = a @ (transformed * data).sum(axis=1) @ a.T
    equal("layer", y, scale(m, r) ** 2 * ag.conv(x[None], w).numpy()[0])
    if (m, r) == (4, 3):
        exact = [np.vectorize(Fraction, otypes=[object])(each) for each in (x[None], w)]
        equal("tiles of the oracle", y, scale(m, r) ** 2 * ag.conv(*exact, algorithm="winograd").numpy()[0])


_LETTERS = Relation(
    "Winograd tiles, letters",
    "A^T((G g) * (B^T d)) = the convolution, as polynomials",
    st.sampled_from(SIZES),
    _letters,
    Rung.IDENTITY,
)
_LETTERS_2D = Relation(
    "nested Winograd tiles, letters",
    "A^T((G g G^T) * (B^T d B)) A = the convolution, as polynomials",
    st.sampled_from(SIZES[:2]),
    _letters_2d,
    Rung.IDENTITY,
)
_IMAGES = Relation(
    "Winograd layers",
    "images with channels, tile by tile = the convolution",
    st.tuples(
        st.sampled_from(SIZES[:3]),
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(0, 2**32 - 1),
    ),
    _images,
)
