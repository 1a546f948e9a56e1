"""The names that cells bind and need, on code as data scientists write it."""

from __future__ import annotations

import sys

import pytest

from nbci.dataflow.code import parse_cell
from nbci.dataflow.names import Names, Position, names_of


def of(*sources: str, **more: object) -> Names:
    return names_of([parse_cell(source) for source in sources], **more)  # type: ignore[arg-type]  # passed on


def test_a_pandas_cell() -> None:
    names = of(
        "import pandas as pd\nimport os.path\nfrom a.b import c as d, e\n",
        "df = pd.read_csv(os.path.join(ROOT, 'x.csv'), dtype={k: str for k in COLUMNS})\n"
        "df['ratio'] = df.apply(lambda row: row.a / scale, axis=1)\n"
        "df.loc[df.a > limit, 'b'] = 0\n"
        "few = df.query('age > @youngest and x == 1')",
    )
    assert names.binds == names.surely_binds == {"pd", "os", "d", "e", "df", "few"}
    assert names.imports == {"pd", "os", "d", "e"}
    assert names.needs == {"ROOT", "COLUMNS", "scale", "limit", "youngest"}
    assert names.surely_needs == {"ROOT", "COLUMNS", "limit"}
    assert names.changes == {"df"}
    assert names.first_use["limit"] == Position(cell=1, line=3)
    assert names.uncertain == ()


def test_a_training_cell() -> None:
    names = of(
        "%matplotlib inline\n"
        "from tqdm.auto import tqdm\n"
        "best = None\n"
        "for C in tqdm([1, 10]):\n"
        "    with warnings.catch_warnings():\n"
        "        model = SVC(C=C).fit(X_train, y_train)\n"
        "    score = model.score(X_test, y_test)\n"
        "    if best is None or score > best[0]:\n"
        "        best = (score, model)\n"
        "print(f'{best[0]:.{digits}f}')\n"
    )
    assert names.needs == {"warnings", "SVC", "X_train", "y_train", "X_test", "y_test", "digits"}
    assert names.surely_binds == {"tqdm", "best"}
    assert names.binds - names.surely_binds == {"C", "model", "score"}


def test_functions_need_what_they_read_where_they_are_used() -> None:
    code = "def f():\n    return g() + a\ndef g():\n    return b\n"
    assert of(code).needs == set()
    assert of(code + "f()").surely_needs == {"a", "b"}
    assert of(code + "a = 1\nf()").needs == {"b"}
    assert of(code + "f()\na = 1").needs == {"a", "b"}
    assert of(code + "if x:\n    f()").surely_needs == {"x"}
    assert of(code + "map(f, [1])").needs == {"a", "b"}
    assert of(code + "map(f, [1])").surely_needs == set()


def test_methods_belong_to_their_class() -> None:
    code = (
        "@dataclass\n"
        "class Net(Module):\n"
        "    size: int = SIZE\n"
        "    def run(self):\n"
        "        return size + helper(self.size)\n"
    )
    assert of(code).needs == {"dataclass", "Module", "SIZE"}
    assert of(code + "net = Net()").needs == {"dataclass", "Module", "SIZE", "size", "helper"}
    assert (
        "helper"
        in of("net.run()", known={"net": of(code + "net = Net()").definitions["net"]}).needs
    )


def test_a_decorated_function_may_be_called_at_once() -> None:
    assert of("@interact\ndef f():\n    return a").needs == {"interact", "a"}
    assert of("@lru_cache(None)\ndef f():\n    return a").needs == {"lru_cache"}


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("x += 1", {"x"}),
        ("del x", {"x"}),
        ("x = 1\ndel x\nx", {"x"}),
        ("[i for i in xs if i > n]", {"xs", "n"}),
        ("[j for i in xs for j in i]", {"xs"}),
        ("print([y := f(x) for x in z], y)", {"f", "z", "y"}),
        ("lambda a, b=c: a + d", {"c", "d"}),
        ("def f(a: T = d, *args: U) -> R: pass", {"T", "d", "U", "R"}),
        ("from __future__ import annotations\ndef f(a: T = d) -> R: pass", {"d"}),
        ("x: T\ny: U = 1", {"T", "U"}),
        ("class A:\n    a = 1\n    b = a\n    c = [a for _ in range(a)]", {"a"}),
        ("class A:\n    a = a", {"a"}),
        ("try:\n    pass\nexcept E as e:\n    pass\ne", {"E", "e"}),
        (
            (
                "match p:\n    case Point(x=0, y=k):\n        k\n    case {'a': v, **rest}:\n"
                "        v, rest"
            ),
            {"p", "Point"},
        ),
        (
            (
                "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n"
                "    return g\nf()"
            ),
            set(),
        ),
        ("def f():\n    global x\n    x = 1\nf()\nx", {"x"}),
        (
            "get_ipython(), display(1), _, __, _1, Out[3], In, exit, __name__, __file__, print",
            set(),
        ),
        ("globals()['q']", {"q"}),
        ("import a.b\na.b.c", set()),
        ("print(f'{x!r:>{width}}')", {"x", "width"}),
        ("async def f():\n    return a\nawait f()", {"a"}),
        ("while True:\n    x = 1\n    break", set()),
    ],
)
def test_needs(source: str, needs: set[str]) -> None:
    assert of(source).needs == needs


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    x\nexcept NameError:\n    x = 1",
        "try:\n    x\nexcept:\n    pass",
        "if 'x' in globals():\n    x",
        "'x' in dir() and x",
        "with suppress(NameError):\n    x",
        "for i in []:\n    x",
        "import sys\nif c:\n    raise SystemExit\nelse:\n    x = 1\nx",
        "def f():\n    if a: return\n    x\nf()",
        "def f():\n    yield x\nf()",
        "if a:\n    x = 1\nx",
        "raise ValueError\nx",
    ],
)
def test_what_only_some_paths_read_is_not_certain(source: str) -> None:
    assert "x" not in of(source).surely_needs


def test_a_cell_that_may_fail_makes_nothing_sure() -> None:
    names = names_of([parse_cell("x = 1\ny\ndel z", may_fail=True)])
    assert names.surely_binds == names.surely_needs == names.unbinds == set()
    assert names.binds == {"x"}
    assert names.may_unbind == {"z"}


@pytest.mark.parametrize(
    ("source", "binds", "needs"),
    [
        ("%time m = fit(X)", {"m"}, {"fit", "X"}),
        ("%%time\nm = fit(X)", {"m"}, {"fit", "X"}),
        ("%timeit -n 3 -r2 m = fit(X)", set(), {"fit", "X"}),
        ("%%timeit a = X\nm = fit(a)", set(), {"fit", "X"}),
        ("%%capture out\nm = X", {"out", "m"}, {"X"}),
        ("%%capture --no-stderr out\nm = X", {"out", "m"}, {"X"}),
        ("%prun -l 10 -s cumulative fit(X)", set(), {"fit", "X"}),
        ("%%prun\nm = fit(X)", {"m"}, {"fit", "X"}),
        ("%lprun -f fit fit(X)", set(), {"fit", "X"}),
        ("x = !grep {word} $path", {"x"}, {"word", "path"}),
        ("!awk '{print $1}' {d['k']}", set(), {"d"}),
        ("%cd {folder}", set(), {"folder"}),
        ("%%bash --out v --err w\necho $HOME", {"v", "w"}, set()),
        ("%%writefile {name}.py\nimport z\nq = zz", set(), {"name"}),
        ("%%html\n<b>", set(), set()),
        ("%load_ext autoreload\n%autoreload 2", set(), set()),
        ("pip install pandas", set(), set()),
        ("for i in range(3):\n    %time f(i)", {"i"}, {"f"}),
        ("%%time\n%%capture out\nx = a", {"out", "x"}, {"a"}),
    ],
)
def test_magics(source: str, binds: set[str], needs: set[str]) -> None:
    names = of(source)
    assert names.binds == binds
    assert names.needs == needs
    assert not names.uncertain


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("from numpy import *", "import *"),
        ("exec(code)", "exec"),
        ("eval('x')", "eval"),
        ("%run other.py", "%run"),
        ("%store -r df", "%store"),
        ("%pylab inline", "%pylab"),
        ("%load other.py", "%load"),
        ("globals()[name] = 1", "globals()"),
        ("globals().update(d)", "globals()"),
        ("locals()[k]", "locals()"),
        ("vars()[k] = 2", "vars()"),
        ("get_ipython().push(d)", "push"),
        ("%%sql r <<\nselect 1", "%%sql"),
        ("%unknown x", "%unknown"),
        ("def f():\n    exec('x')\nf()", "exec"),
    ],
)
def test_uncertain_code_says_why(source: str, word: str) -> None:
    assert any(word in why for why in of(source).uncertain)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("eval('C')", "eval"),
        ("exec(open('s.py').read())", "exec"),
        ("'{C}'.format(**globals())", "globals()"),
        ("ns = globals()\nns['C']", "globals()"),
        ("globals()[name]", "globals()"),
        ("f'{vars()}'", "vars()"),
        ("Template('$C').substitute(locals())", "locals()"),
        ("get_ipython().user_ns[name]", "user_ns"),
        ("shell.user_ns['C']", "user_ns"),
        ("get_ipython().ev('C')", "ev"),
        ("import __main__\n__main__.C", "__main__"),
        ("from __main__ import C", "__main__"),
        ("import sys\nsys.modules['__main__'].C", "__main__"),
        ("f.__globals__['C']", "__globals__"),
        ("inspect.currentframe().f_back", "currentframe"),
        ("df.query(text)", "query"),
        ("df.eval(expr=text)", "eval"),
        ("%sql select :C", "%sql"),
        ("def f():\n    return globals()\nf()", "globals()"),
        ("class K:\n    def g(self):\n        return eval('C')\nk = K()\nk.g()", "eval"),
    ],
)
def test_code_that_may_read_any_name_says_why(source: str, word: str) -> None:
    assert any(word in why for why in of(source).any_name)


@pytest.mark.parametrize(
    "source",
    [
        "globals()['C']",
        "'C' in globals()",
        "globals().get('C')",
        "globals()[name] = 1",
        "dir()",
        "vars(thing)",
        "def f(a):\n    return '{a}'.format(**locals())\nf(1)",
        "def unused():\n    exec('x')",
        "model.eval()",
        "df.query('x > @C')",
        "get_ipython().user_ns_hidden",
    ],
)
def test_code_whose_names_all_stand_in_it(source: str) -> None:
    assert not of(source).any_name


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("text = 'x > @C and y < @D'", {"C", "D"}),
        ("ols('y ~ x * C', data)", {"y", "x", "C"}),
        ("pd.eval('C + x.a')", {"C", "x"}),
        ("def f(a: 'list[Row]') -> 'Kind': pass", {"list", "Row", "Kind"}),
        ("mail = 'someone@example.org'", set()),
        ("print('C is large')", set()),
    ],
)
def test_names_in_texts_that_are_read_as_code(source: str, names: set[str]) -> None:
    assert of(source).in_text == names


def test_builtins_that_are_read_are_assumed() -> None:
    names = of("print(sum(x))\nmax = 3\nmax")
    assert names.assumes == {"print", "sum"}


def test_mentions_hold_every_name() -> None:
    names = of("from __future__ import annotations\ndef f(a: T):\n    return b\nx = 1\ndel y")
    assert names.mentions == {"annotations", "T", "f", "b", "x", "y"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with Python 3.12")
def test_type_parameters() -> None:
    names = of(
        "type P[T] = list[T] | Q\ndef f[T: Bound](x: T) -> R: return T\nclass C[K](Base[K]):\n"
        "    a: K"
    )
    assert names.needs == {"Q", "Bound", "R", "Base"}
    assert names.binds == {"P", "f", "C"}


def test_code_too_deep_to_walk_is_uncertain() -> None:
    deep = parse_cell("x = " + "+".join(["a"] * 900))
    assert of("x = 1").uncertain == ()
    assert names_of([deep]).needs == {"a"}
