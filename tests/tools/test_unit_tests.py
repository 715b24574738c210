"""How programs end under their tests, and that none passes by anything but right answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from archloom.tools import Sandbox, SandboxUnavailableError, ToolError, UsageError, sandbox
from archloom.tools.code import TestReport, run_tests

Run = Callable[..., Coroutine[Any, Any, TestReport]]
ADD = ("assert add(1, 2) == 3", "assert add(2, 2) == 4")


@pytest.fixture(scope="module")
def box() -> Sandbox:
    try:
        return sandbox()
    except SandboxUnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def run(box: Sandbox) -> Run:
    def tested(program: str, *tests: str, entry_point: str = "f", **options: Any) -> Coroutine[Any, Any, TestReport]:
        return run_tests(program, tests, entry_point=entry_point, sandbox=box, **options)

    return tested


@pytest.mark.parametrize(
    ("program", "outcome", "results", "detail"),
    [
        pytest.param("def add(a, b): return a + b", "passed", "passed passed", "", id="passed"),
        pytest.param(
            "def add(a, b): return a * b",
            "failed",
            "failed passed",
            "assert add(1, 2) == 3\nadd(1, 2) returned 2",
            id="failed",
        ),
        pytest.param(
            "def add(a, b): return [][a]",
            "error",
            "error error",
            "assert add(1, 2) == 3\nIndexError: list index out of range",
            id="error in a call",
        ),
        pytest.param(
            "import archloom_is_not_here",
            "error",
            "not_run not_run",
            "the program cannot be loaded: ModuleNotFoundError: No module named 'archloom_is_not_here'",
            id="error while loading",
        ),
        pytest.param(
            "class Odd(Exception): pass\ndef add(a, b): raise Odd('no')",
            "error",
            "error error",
            "assert add(1, 2) == 3\nOdd: no",
            id="error of the program's own class",
        ),
        pytest.param(
            "def add(a, b): assert a == b",
            "error",
            "error failed",
            "assert add(1, 2) == 3\nAssertionError:",
            id="assertion of the program",
        ),
        pytest.param(
            "def add(a, b:\n    return",
            "syntax_error",
            "not_run not_run",
            "'(' was never closed (program.py, line 1)",
            id="syntax error",
        ),
        pytest.param(
            "def plus(a, b): return a + b",
            "missing_function",
            "not_run not_run",
            "the program does not define add",
            id="missing function",
        ),
        pytest.param(
            "def add(a): return a",
            "wrong_signature",
            "wrong_signature wrong_signature",
            "assert add(1, 2) == 3\nTypeError: add() takes 1 positional argument but 2 were given",
            id="wrong signature",
        ),
        pytest.param(
            "def add(a, b): return a + str(b)",
            "error",
            "error error",
            "assert add(1, 2) == 3\nTypeError: unsupported operand type(s) for +: 'int' and 'str'",
            id="type error inside is no wrong signature",
        ),
        pytest.param(
            "class add:\n    def __init__(self, *args): pass\n    def __eq__(self, other): return len(self)",
            "failed",
            "failed failed",
            "assert add(1, 2) == 3\nadd(1, 2) returned <add of the program>",
            id="an object is not what it says it equals",
        ),
        pytest.param(
            "add = 3",
            "missing_function",
            "not_run not_run",
            "the program's add is no function",
            id="entry point is no function",
        ),
        pytest.param(
            "def add(a, b):\n    while True: pass", "timeout", "timeout not_run", "assert add(1, 2) == 3", id="timeout"
        ),
        pytest.param("while True: pass", "timeout", "not_run not_run", "", id="timeout while loading"),
        pytest.param(
            "def add(a, b): return len(bytearray(10**10))",
            "memory",
            "memory memory",
            "assert add(1, 2) == 3",
            id="memory",
        ),
        pytest.param("x = bytearray(10**10)", "memory", "not_run not_run", "", id="memory while loading"),
        pytest.param(
            "def add(a, b):\n    while True: print('x' * 10000)",
            "output_flood",
            "not_run not_run",
            "the program was killed for the amount of its output",
            id="output flood",
        ),
        pytest.param(
            "import sys; sys.exit(0)",
            "exited",
            "not_run not_run",
            "the program ended with exit code 0 before the tests did",
            id="exits while loading",
        ),
        pytest.param(
            "import sys\ndef add(a, b): sys.exit()",
            "exited",
            "exited not_run",
            "assert add(1, 2) == 3\nthe program ended with exit code 0 before the tests did",
            id="exits in a call",
        ),
        pytest.param(
            "import os\ndef add(a, b): os._exit(0)",
            "exited",
            "exited not_run",
            "assert add(1, 2) == 3\nthe program ended with exit code 0 before the tests did",
            id="exits at once in a call",
        ),
        pytest.param(
            "import os\ndef add(a, b): os.kill(os.getpid(), 11)",
            "exited",
            "exited not_run",
            "assert add(1, 2) == 3\nthe program ended by signal 11 before the tests did",
            id="ended by a signal",
        ),
        pytest.param(
            "def add(a, b): return a + b if a == 1 else exit()",
            "exited",
            "passed exited",
            "assert add(2, 2) == 4\nthe program ended with exit code 0 before the tests did",
            id="exits after a test has passed",
        ),
    ],
)
async def test_program_ends_as(run: Run, program: str, outcome: str, results: str, detail: str) -> None:
    report = await run(program, *ADD, entry_point="add", timeout_s=2)
    assert (report.outcome, " ".join(each.outcome for each in report.results)) == (outcome, results)
    assert report.detail == detail
    assert report.passed is (outcome == "passed")
    assert report.share == results.split().count("passed") / 2


async def test_a_test_that_is_no_python_is_no_fault_of_the_program(run: Run) -> None:
    program = "def f(): return 1"
    report = await run(program, "assert f() == 1", "assert f( == 1")
    assert [each.outcome for each in report.results] == ["passed", "invalid_test"]
    assert report.outcome == "invalid_test"
    report = await run(program, "assert f() == 1", setup="import")
    assert report.outcome == "invalid_test"
    report = await run(program, "assert f() == 1", setup="import archloom_is_not_here")
    assert (report.outcome, report.detail) == (
        "invalid_test",
        "the setup of the tests fails: ModuleNotFoundError: No module named 'archloom_is_not_here'",
    )


async def test_a_setup_that_the_program_spoils_is_the_programs_fault(run: Run) -> None:
    report = await run("def f(): raise ValueError('no')", "assert True is not None", setup="data = f()")
    assert (report.outcome, report.detail) == ("error", "ValueError: no")


async def test_without_tests_nothing_passes(run: Run) -> None:
    with pytest.raises(UsageError, match="no tests"):
        await run("def f(): pass")


CHEATS = {
    "prints that it passed": "print('passed')\nprint('{\"outcome\": \"passed\"}')\ndef f(): return 'passed'",
    "equals everything": """
class Same:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 42
def f(): return Same()""",
    "a number that equals everything": """
class Same(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(): return Same(7)""",
    "a text that equals everything": """
class Same(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
def f(): return Same('7')""",
    "a list that equals everything": """
class Same(list):
    def __eq__(self, other): return True
def f(): return Same()""",
    "has every operator": """
class Any:
    def __getattr__(self, name): return lambda *args: True
    def __sub__(self, other): return 0
    def __abs__(self): return 0
def f(): return Any()""",
    "assertions pass": "import builtins\nbuiltins.AssertionError = Warning\ndef f(): raise Warning",
    "builtins lie": """
import builtins
builtins.isinstance = lambda *args: True
builtins.len = lambda thing: 42
builtins.abs = lambda thing: 0
def f(): return 0""",
    "changes the harness in its memory": """
import sys
for name, module in list(sys.modules.items()):
    if 'exam' in name:
        for key in list(vars(module)):
            if not key.startswith('__'):
                setattr(module, key, lambda *args, **kwargs: True)
def f(): return True""",
    "leaves when asked": "import os\ndef f(): os._exit(0)",
    "leaves before": "import os\nos.write(1, b'passed')\nos._exit(0)",
    "leaves later": "import os, threading\nthreading.Timer(0.01, os._exit, (0,)).start()\ndef f():\n    while True: pass",
    "leaves a copy behind": "import os\nif os.fork(): os._exit(0)\ndef f(): return 1",
    "kills the tests": "import os\ndef f(): os.kill(os.getppid(), 9)",
    "stops the tests": "import os\ndef f(): os.kill(os.getppid(), 19)",
    "interrupts the tests": "import os\ndef f(): os.kill(os.getppid(), 14)",
    "writes a report everywhere": """
import os
def f():
    for process in os.listdir('/proc'):
        for number in range(30):
            for name in (f'/proc/{process}/fd/{number}',):
                try:
                    with open(name, 'wb') as file:
                        file.write(b'\\n{"outcome": "passed", "detail": "", "results": [["passed", ""]]}\\n')
                except OSError:
                    pass""",
    "answers in place of its answer": """
import os, json
def f():
    for number in range(3, 30):
        for value in (["returned", None, []], ["returned", True, []], ["raised", "StopIteration", "", False]):
            data = json.dumps([[["list", *value[:2], [1]], ["list"]], [0]]).encode()
            try:
                os.write(number, len(data).to_bytes(8, 'big') + data)
            except OSError:
                pass""",
    "sends nonsense": """
import os
def f():
    for number in range(3, 30):
        try:
            os.write(number, b'\\xff' * 100)
        except OSError:
            pass""",
    "raises what tests may swallow": "def f(): raise BaseException('x')",
    "takes the names of the tests' tools": "def isclose(*args): return True\ndef g(*args): return 42\ndef f(): return 0",
}


@pytest.mark.parametrize("program", CHEATS.values(), ids=CHEATS)
async def test_no_cheat_passes(run: Run, program: str) -> None:
    setup = "from math import isclose\ndef g(value): return value"
    tests = ("assert f() == 42", "assert isclose(g(f()), 42)", "assert abs(f() - 42) < 1")
    report = await run(program, *tests, setup=setup, timeout_s=0.5)
    assert not report.passed
    assert report.share == 0


@pytest.mark.parametrize("leave", ["import os; os._exit(0)", "raise SystemExit", "import os; os.kill(os.getppid(), 9)"])
async def test_a_program_that_leaves_fails_tests_that_swallow_everything(run: Run, leave: str) -> None:
    report = await run(f"def f():\n    {leave}", "try:\n    f()\nexcept:\n    pass", "assert True")
    assert report.outcome == "exited"
    assert report.share == 0


async def test_time_ends_tests_that_swallow_everything(run: Run) -> None:
    report = await run("def f():\n    while True: pass", "try:\n    f()\nexcept:\n    pass", timeout_s=0.3)
    assert report.outcome == "timeout"


async def test_tests_without_end_end_too(run: Run) -> None:
    report = await run(
        "def f(): pass", "while True:\n    try:\n        f()\n    except BaseException: pass", timeout_s=0.3
    )
    assert report.outcome == "timeout"


SEARCH = """
import os, re
PATTERN = re.compile(rb'expected:([0-9]{8})')
def look(data):
    found = PATTERN.search(data)
    return found and found[1].decode()
def memory(process):
    try:
        with open(f'/proc/{process}/maps') as maps, open(f'/proc/{process}/mem', 'rb', 0) as mem:
            for line in maps:
                start, end = (int(each, 16) for each in line.split()[0].split('-'))
                if ' r' in line and end - start < 2**28:
                    mem.seek(start)
                    yield mem.read(end - start)
    except (OSError, ValueError):
        pass
def files():
    for root in ('/job', '/tmp', '/dev/shm', '/proc/1', '/proc/2', '/proc/3', f'/proc/{os.getppid()}', '/proc/self'):
        for folder, _, names in os.walk(root):
            for name in names:
                if name not in ('kmsg', 'mem') and '/task' not in folder:
                    try:
                        descriptor = os.open(f'{folder}/{name}', os.O_RDONLY | os.O_NONBLOCK)
                    except OSError:
                        continue
                    try:
                        yield os.read(descriptor, 10**6)
                    except OSError:
                        pass
                    finally:
                        os.close(descriptor)
def f():
    for data in files():
        if look(data): return 'in a file: ' + look(data)
    for process in os.listdir('/proc'):
        if process.isdigit():
            for data in memory(process):
                if look(data): return f'in the memory of {process}, I am {os.getpid()}: ' + look(data)
    return 'nowhere'
"""


@pytest.mark.slow
async def test_the_tests_are_nowhere_to_be_found(run: Run) -> None:
    report = await run(SEARCH, "assert f() == 'expected:31415926'", timeout_s=60)
    assert report.detail.endswith("f() returned 'nowhere'"), report


@pytest.mark.parametrize(
    ("given", "attribute"),
    [
        ("lambda: 1", "__globals__"),
        ("lambda: 1", "__code__"),
        ("(i for i in ())", "gi_frame"),
        ("Helper()", "_hidden"),
        ("Helper", "secret"),
        ("Helper().method", "__func__"),
    ],
)
async def test_what_tests_give_leads_no_further(run: Run, given: str, attribute: str) -> None:
    program = "def f(thing, name): return thing._peer.ask('attribute', thing, name)"
    setup = "class Helper:\n    _hidden = secret = 1\n    def method(self): pass"
    report = await run(program, f"f({given}, {attribute!r})", setup=setup)
    assert "AttributeError" in report.detail, report


@pytest.mark.parametrize(
    ("program", "test"),
    [
        pytest.param("def f(x): return x", "assert f(10**5000) == 10**5000 and f(-1) == -1", id="large numbers"),
        pytest.param(
            "def f(x): return x",
            "import math\nassert math.isnan(f(float('nan'))) and f(math.inf) == math.inf and f(2j) == 2j",
            id="odd numbers",
        ),
        pytest.param(
            "def f(x): return x",
            "from fractions import Fraction\nfrom decimal import Decimal\n"
            "assert f([Fraction(1, 3), Decimal('0.1')]) == [Fraction(1, 3), Decimal('0.1')]",
            id="exact numbers",
        ),
        pytest.param("def f(x): return x", "assert f('a\\ud800\\0é') == 'a\\ud800\\0é'", id="odd text"),
        pytest.param(
            "def f(*args, **kwargs): return args, kwargs",
            "value = {(1, 'a'): {1, 2}, None: [b'x', frozenset({3}), range(3)], True: ()}\n"
            "assert f(value, k=[1]) == ((value,), {'k': [1]})",
            id="nested data",
        ),
        pytest.param(
            "def f():\n    loop = [1]\n    loop.append(loop)\n    return loop",
            "loop = f()\nassert loop[1] is loop",
            id="data in a cycle",
        ),
        pytest.param(
            "def f(x): x.sort(); x.append(9)", "mine = [3, 1]\nf(mine)\nassert mine == [1, 3, 9]", id="in place"
        ),
        pytest.param(
            "def f(x): x['a'] = 1", "mine = {'b': 2}\nf(mine)\nassert mine == {'a': 1, 'b': 2}", id="a dict too"
        ),
        pytest.param(
            "from collections import namedtuple, defaultdict\nP = namedtuple('P', 'x y')\n"
            "class L(list): pass\n"
            "def f():\n    d = defaultdict(L)\n    d['a'].append(P(1, 2))\n    return d",
            "assert f() == {'a': [(1, 2)]}",
            id="subclasses arrive as plain data",
        ),
        pytest.param(
            "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
            "from itertools import islice\nassert list(islice(f(), 5)) == [0, 1, 2, 3, 4]",
            id="a generator without end",
        ),
        pytest.param("def f(): return map(str, [1, 2])", "assert list(f()) == ['1', '2']", id="an iterator"),
        pytest.param(
            "class f:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n"
            "    def __len__(self): return len(self.items)\n    def __contains__(self, x): return x in self.items\n"
            "    def __getitem__(self, i): return self.items[i]\n    def __str__(self): return 'stack'",
            "s = f()\ns.push(5)\ns.label = 'x'\n"
            "assert len(s) == 1 and 5 in s and s[0] == 5 and s.items == [5] and str(s) == 'stack' and s.label == 'x'",
            id="a class",
        ),
        pytest.param(
            "class f(list):\n    push = list.append",
            "s = f()\ns.push(5)\nassert len(s) == 1 and s.pop() == 5 and not s",
            id="a class that is a kind of list",
        ),
        pytest.param(
            "def f(g, x): return g(g(x))", "assert f(lambda x: x * 3, 2) == 18", id="a function given as an argument"
        ),
        pytest.param(
            "def f(g): return g(1)\ndef h(x): return x + 1", "assert f(lambda x: h(x) * 10) == 20", id="calls both ways"
        ),
        pytest.param(
            "def f(node):\n    last = None\n    while node:\n        node.next, last, node = last, node, node.next\n"
            "    return last",
            "class Node:\n    def __init__(self, value, next=None): self.value, self.next = value, next\n"
            "a = Node(1)\nb = Node(2, a)\nassert f(b) is a and a.next is b and b.next is None",
            id="objects of the tests",
        ),
        pytest.param(
            "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x",
            "try:\n    f(-1)\nexcept ValueError as exc:\n    assert str(exc) == 'negative'\nelse:\n    assert False",
            id="an exception that the test wants",
        ),
        pytest.param(
            "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f(p): return p.x + 1",
            "assert f(P(2)) == 3",
            id="a dataclass of the program",
        ),
        pytest.param("LIMIT = 3\ndef f(): return LIMIT", "assert f() == LIMIT", id="a constant of the program"),
        pytest.param("f = lambda: 1", "assert f() == 1", id="a lambda"),
        pytest.param("from math import gcd as f", "assert f(4, 6) == 2", id="an imported function"),
        pytest.param(
            "def f(): return 1\nif __name__ == '__main__':\n    raise SystemExit(f())",
            "assert f() == 1",
            id="main guard",
        ),
        pytest.param(
            "def f():\n    try:\n        return input()\n    except EOFError:\n        return 'none'",
            "assert f() == 'none'",
            id="no input",
        ),
        pytest.param(
            "import sys\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)", "assert f(900) == 900", id="deep recursion"
        ),
        pytest.param("print('x' * 10**6)\ndef f(): return 1", "assert f() == 1", id="much output"),
        pytest.param("state = []\ndef f(): state.append(1); return len(state)", "f()\nassert f() == 2", id="state"),
    ],
)
async def test_a_right_program_passes(run: Run, program: str, test: str) -> None:
    report = await run(program, test)
    assert report.passed, report


async def test_tests_go_on_after_a_failure_and_share_a_namespace(run: Run) -> None:
    report = await run("def f(x): return x", "y = f(1)\nassert y == 2", "assert f(y) == 1", "assert f(1) == g()")
    assert [each.outcome for each in report.results] == ["failed", "passed", "error"]
    assert report.results[0].detail == "f(1) returned 1"
    assert report.results[2].detail == "NameError: name 'g' is not defined"
    assert report.share == 1 / 3


async def test_random_tests_draw_the_same_numbers_each_time(run: Run) -> None:
    test = "import random\nassert f(random.random()) is None"
    first, second = [await run("def f(x): return x", test) for _ in range(2)]
    assert first.detail == second.detail != ""


async def test_what_the_program_writes_is_reported(run: Run) -> None:
    report = await run("import sys\nprint('to out')\nsys.stderr.write('to err')\ndef f(): return 1", "assert f() == 1")
    assert report.passed
    assert (report.output.count("to out"), report.output.count("to err")) == (1, 1)


async def test_a_sandbox_that_fails_is_no_outcome(box: Sandbox) -> None:
    class Broken:
        level = "none"

        async def exec(self, *args: object, **kwargs: object) -> None:
            raise ToolError("bubblewrap broke")

        python = exec

    with pytest.raises(ToolError, match="bubblewrap broke"):
        await run_tests("def f(): pass", ["f()"], entry_point="f", sandbox=Broken())  # type: ignore[arg-type]
