"""Holds the house: which room imports which, what touches the disk, what is never called, how long it is.

The sources are read, not imported. Each rule gives sentences, one a breach; none is a pass.
"""

from __future__ import annotations

import ast
import graphlib
import io
import statistics
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# The rooms from the ground up; rooms on one floor do not import each other. A new room gets its floor here.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("words",),
    ("canonical",),
    ("graph", "store", "pictures"),
    ("layers", "data", "versions", "records", "access"),
    ("upkeep",),
    ("repo",),
    ("engine",),
    ("serve",),
    ("scale",),
    ("cli", "__main__"),
)
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

# Which files may import a library that costs seconds or belongs to one room.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "torch": ("layers/*", "engine/*", "serve/*"),
    "safetensors.torch": ("layers/*", "engine/*", "serve/*"),
    "sqlalchemy": ("store/catalog/*",),
    "obstore": ("store/bucket/*",),
    "ray": ("scale.py",),
    "fastapi": ("serve/*",),
    "starlette": ("serve/*",),
    "uvicorn": ("serve/*",),
}

# Files with leave from a rule, each for a reason. A pattern is matched against the path below src/layerwise.
LEAVE: dict[str, dict[str, str]] = {
    "effect": {
        "store/disk.py": "every effect on files goes through it, so that faults can be injected in one place",
        "store/catalog/salvage.py": "reads a catalog that SQLAlchemy cannot open, and copies a new one into its file",
        "cli/failures.py": "opens the null device, where a closed pipe's last words go",
    },
    "own lazy import": {
        "*__init__.py": "the public page loads a name when asked for it: `import layerwise` loads no torch",
        "cli/*": "`layerwise --help` answers before anything heavy is loaded",
    },
    "import by name": {
        "*__init__.py": "the public page looks its names up in its own table, never in what a user gave",
        "cli/*": "the commands are looked up in a table of our own",
    },
}

FORBIDDEN_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
FORBIDDEN_NAMES = {
    "__import__": "nothing is imported by a name that was read",
    "eval": "nothing that was read is run",
    "exec": "nothing that was read is run",
    "hashlib.md5": "identity is BLAKE3",
    "hashlib.sha1": "identity is BLAKE3",
    "os.popen": "no shell",
    "os.system": "no shell",
    "torch.hub.load": "nothing that was read is run",
    "torch.load": "it unpickles: safetensors instead",
    "yaml.full_load": "yaml.safe_load, or a SafeLoader's get_single_data",
    "yaml.load": "yaml.safe_load, or a SafeLoader's get_single_data",
    "yaml.load_all": "yaml.safe_load_all",
    "yaml.unsafe_load": "yaml.safe_load, or a SafeLoader's get_single_data",
}
FORBIDDEN_ARGUMENTS = {"shell": "no shell", "allow_pickle": "no pickle"}

OS_EFFECTS = """
    chmod fdatasync fdopen fsync ftruncate link makedirs mkdir open pwrite remove removedirs rename renames
    replace rmdir symlink truncate unlink utime write writev
"""
EFFECTS = {
    *(f"os.{name}" for name in OS_EFFECTS.split()),
    "numpy.save",
    "numpy.savetxt",
    "numpy.savez",
    "numpy.savez_compressed",
    "pyarrow.OSFile",
    "pyarrow.csv.write_csv",
    "pyarrow.feather.write_feather",
    "pyarrow.parquet.write_table",
    "safetensors.numpy.save_file",
    "safetensors.torch.save_file",
    "sqlite3.connect",
    "torch.from_file",
    "torch.save",
}
EFFECT_MODULES = ("shutil.", "tempfile.")
NO_EFFECT = {"shutil.disk_usage", "shutil.get_terminal_size", "shutil.which"}
EFFECT_METHODS = {
    "hardlink_to",
    "mkdir",
    "rmdir",
    "symlink_to",
    "tofile",
    "touch",
    "unlink",
    "write_bytes",
    "write_text",
}
# str.replace takes two arguments and dataclasses.replace names them; with one, it moves a file.
EFFECT_METHODS_OF_ONE = {"rename", "replace"}
MAPS = {"numpy.memmap", "numpy.lib.format.open_memmap"}

FILE_LINES = 250
FUNCTION_LINES = 40
SHORT_FUNCTION = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One module that another one imports: ``target`` in full, and whether a function does it when called."""

    target: str
    line: int
    lazy: bool


@dataclass(frozen=True)
class Module:
    """One source file: its path below the package, its text, and the names of all modules of the package."""

    path: str
    text: str
    siblings: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return ".".join(("layerwise", *self.path.removesuffix(".py").split("/"))).removesuffix(".__init__")

    @property
    def room(self) -> str:
        return self.path.removesuffix(".py").split("/")[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @cached_property
    def imports(self) -> list[Import]:
        inside = {id(inner) for function in self.functions for inner in ast.walk(function)}
        return [
            Import(target, node.lineno, id(node) in inside)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for target in self._targets(node)
        ]

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        base = self._base(node)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            # A name imported from our package is a module or lives in one; of others the module counts.
            yield full if full in self.siblings or full == "layerwise.__version__" else base

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.path.endswith("__init__.py") else self.name.split(".")[:-1]
        return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The full name behind each imported name: ``np`` is ``numpy``."""
        known: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    known[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                known |= {alias.asname or alias.name: f"{self._base(node)}.{alias.name}" for alias in node.names}
        return known

    def full_name(self, node: ast.AST) -> str | None:
        """Return the dotted name that ``node`` says, aliases resolved; None where it is not a plain name."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (owner := self.full_name(node.value)):
            return f"{owner}.{node.attr}"
        return None

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """Numbers of the lines that hold code: no comment, no blank line, no docstring."""
        idle = {
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        }
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in idle:
                lines.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(self.tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return frozenset(lines)

    def length(self, function: Function) -> int:
        """Return how many lines of code ``function`` has."""
        return len(self.code_lines.intersection(range(function.lineno, (function.end_lineno or 0) + 1)))

    def has_leave(self, rule: str) -> bool:
        """Tell whether this file may break ``rule``."""
        return any(fnmatch(self.path, pattern) for pattern in LEAVE[rule])

    def at(self, line: int, sentence: str) -> str:
        """Return ``sentence`` with the place in front."""
        return f"src/layerwise/{self.path}:{line}: {sentence}"


def read_modules(source: Path = SOURCE) -> list[Module]:
    """Return every module of the package that is there, sorted by path."""
    package = source / "layerwise"
    paths = sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py"))
    names = frozenset(Module(path, "").name for path in paths) - {"layerwise"}
    return [Module(path, (package / path).read_text(encoding="utf-8"), names) for path in paths]


def break_floors(module: Module) -> Iterator[str]:
    """Imports that climb: a room imports from lower floors only. TYPE_CHECKING counts."""
    if module.name == "layerwise":
        return
    if module.room not in FLOOR:
        yield module.at(1, f"the room {module.room!r} has no floor: add it to FLOORS, and docs/decisions/ says why")
        return
    for found in module.imports:
        root, *parts = found.target.split(".")
        if root != "layerwise" or parts == ["__version__"]:
            continue
        if not parts:
            yield module.at(found.line, "the public page `layerwise` is for users: import from the module itself")
        elif parts[0] != module.room and FLOOR.get(parts[0], len(FLOORS)) >= FLOOR[module.room]:
            yield module.at(found.line, f"{module.room} (floor {FLOOR[module.room]}) imports {found.target}, not below")


def break_libraries(module: Module) -> Iterator[str]:
    """Libraries imported outside the rooms they belong to."""
    for found in module.imports:
        for library, places in LIBRARIES.items():
            inside = found.target == library or found.target.startswith(f"{library}.")
            if inside and not any(fnmatch(module.path, place) for place in places):
                yield module.at(found.line, f"{found.target} may be imported only in {', '.join(places)}")


def break_lazy(module: Module) -> Iterator[str]:
    """Our own modules imported inside a function: it hides an edge of the architecture."""
    for found in module.imports:
        if found.lazy and found.target.split(".")[0] == "layerwise" and not module.has_leave("own lazy import"):
            yield module.at(found.line, f"{found.target} is imported inside a function: import it at the top")


def break_forbidden(module: Module) -> Iterator[str]:
    """Modules, names, arguments and methods that must not stand anywhere in the package."""
    for found in module.imports:
        if found.target.split(".")[0] in FORBIDDEN_MODULES:
            yield module.at(found.line, f"{found.target} is never imported: no pickle in any form")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = module.full_name(node) or ""
            if name in FORBIDDEN_NAMES:
                yield module.at(node.lineno, f"{name}: {FORBIDDEN_NAMES[name]}")
            if name == "importlib.import_module" and not module.has_leave("import by name"):
                yield module.at(node.lineno, f"{name}: nothing is imported by a name that was read")
        if isinstance(node, ast.Call):
            yield from _break_call(module, node)


def _break_call(module: Module, call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "extractall":
        yield module.at(call.lineno, "extractall: archives are read member by member, into memory")
    if isinstance(call.func, ast.Name) and call.func.id == "hash" and not _in_dunder_hash(module, call):
        yield module.at(call.lineno, "hash() differs from process to process: identity is BLAKE3")
    for keyword in call.keywords:
        switched_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in FORBIDDEN_ARGUMENTS and not switched_off:
            yield module.at(call.lineno, f"{keyword.arg}=: {FORBIDDEN_ARGUMENTS[keyword.arg]}")


def _in_dunder_hash(module: Module, call: ast.Call) -> bool:
    return any(f.name == "__hash__" and any(call is inner for inner in ast.walk(f)) for f in module.functions)


def break_effects(module: Module) -> Iterator[str]:
    """Effects on files outside ``store/disk.py``."""
    if module.has_leave("effect"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and (what := _effect(module, node)):
            yield module.at(node.lineno, f"{what} has an effect on files: go through store/disk.py")


def _effect(module: Module, call: ast.Call) -> str | None:
    name = module.full_name(call.func) or ""
    if name in EFFECTS or (name.startswith(EFFECT_MODULES) and name not in NO_EFFECT):
        return name
    if name in MAPS:
        return None if _mode(call, 2 if name == "numpy.memmap" else 1) in {"r", "c"} else name
    if name in {"open", "io.open"}:
        return f"{name} for writing" if _writes(_mode(call, 1) or "r") else None
    if not isinstance(call.func, ast.Attribute):
        return None
    method = call.func.attr
    of_one = method in EFFECT_METHODS_OF_ONE and len(call.args) == 1 and not call.keywords
    if method in EFFECT_METHODS or of_one:
        return f".{method}"
    return ".open for writing" if method == "open" and _writes(_mode(call, 0) or "r") else None


def _mode(call: ast.Call, position: int) -> str | None:
    """Return the mode a file is opened with: None where none is given, ``?`` where it is not written out."""
    values = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] or call.args[position : position + 1]
    if not values:
        return None
    value = values[0]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "?"


def _writes(mode: str) -> bool:
    return set(mode) <= set("rwxabt+") and bool(set(mode) & set("wxa+"))


def break_docstrings(module: Module) -> Iterator[str]:
    """Public functions, classes and methods, and modules that hold any, without a docstring."""
    yield from _undocumented(module, module.tree.body)
    if module.tree.body and ast.get_docstring(module.tree) is None:
        yield module.at(1, "the module has no docstring")


def _undocumented(module: Module, body: list[ast.stmt], owner: str = "") -> Iterator[str]:
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_") or _repeats(module, node):
            continue
        if ast.get_docstring(node) is None:
            yield module.at(node.lineno, f"{owner}{node.name} has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(module, node.body, f"{node.name}.")


def _repeats(module: Module, node: Function | ast.ClassDef) -> bool:
    """Tell whether ``node`` is an overload, or the setter of a property whose getter has the docstring."""
    return any(
        module.full_name(decorator) == "typing.overload"
        or (isinstance(decorator, ast.Attribute) and decorator.attr in {"setter", "deleter"})
        for decorator in node.decorator_list
    )


def break_lengths(module: Module) -> Iterator[str]:
    """Files and functions that have grown too long to be read at one go."""
    if len(module.code_lines) > FILE_LINES:
        yield module.at(
            1, f"{len(module.code_lines)} lines of code; the house has {FILE_LINES}: split it by what it does"
        )
    for function in module.functions:
        if (length := module.length(function)) > FUNCTION_LINES:
            yield module.at(
                function.lineno, f"{function.name} has {length} lines of code; the house has {FUNCTION_LINES}"
            )


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    break_floors,
    break_libraries,
    break_lazy,
    break_forbidden,
    break_effects,
    break_docstrings,
    break_lengths,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("break_"))
def test_the_house_holds(rule: Rule) -> None:
    breaches = [sentence for module in read_modules() for sentence in rule(module)]
    assert not breaches, "\n" + "\n".join(breaches)


def find_cycle(modules: list[Module]) -> list[str]:
    """Return the names along one cycle of imports, or nothing."""
    names = {module.name for module in modules}
    edges = {
        module.name: {found.target for found in module.imports if found.target in names - {module.name}}
        for module in modules
        if module.name != "layerwise"
    }
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_imports_have_no_cycle() -> None:
    assert find_cycle(read_modules()) == []


def test_leave_is_given_only_to_files_that_are_there() -> None:
    there = [module.path for module in read_modules()]
    rooms = {path.split("/")[0] for path in there}
    stale = [
        f"{rule}: {pattern}"
        for rule, patterns in LEAVE.items()
        for pattern in patterns
        if pattern.split("/")[0] in rooms and not any(fnmatch(path, pattern) for path in there)
    ]
    assert stale == []


def test_house_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    modules = read_modules()
    files = [len(module.code_lines) for module in modules] or [0]
    functions = [module.length(function) for module in modules for function in module.functions] or [0]
    short = sum(length <= SHORT_FUNCTION for length in functions) / len(functions)
    with capsys.disabled():
        print(
            f"\nhouse: {len(files)} files, {sum(files)} lines of code, median {statistics.median(files):g}, "
            f"largest {max(files)}; {len(functions)} functions, median {statistics.median(functions):g}, "
            f"largest {max(functions)}, {short:.0%} of {SHORT_FUNCTION} lines or fewer"
        )


# What each rule must see: the rule, the file, its text, a word of the sentence ("" where nothing is wrong).
CASES: tuple[tuple[Rule, str, str, str], ...] = (
    (break_floors, "graph/spec.py", "from layerwise.words import Name", ""),
    (break_floors, "graph/spec.py", "from layerwise.graph.kinds import Kind", ""),
    (
        break_floors,
        "graph/spec.py",
        "from layerwise.store import disk",
        "graph (floor 3) imports layerwise.store",
    ),
    (break_floors, "words.py", "from layerwise import repo", "words"),
    (break_floors, "versions/diff.py", "import layerwise.layers.text", "versions"),
    (break_floors, "words.py", "if TYPE_CHECKING:\n    from layerwise.engine.plan import Plan", "words"),
    (break_floors, "words.py", "def f():\n    from layerwise.cli import main", "words"),
    (break_floors, "store/packs.py", "from ..graph import spec", "store"),
    (break_floors, "cli/__init__.py", "from layerwise import __version__", ""),
    (break_floors, "cli/train.py", "import layerwise as lw", "public page"),
    (break_floors, "attic/old.py", "", "no floor"),
    (break_libraries, "graph/spec.py", "import torch", "torch"),
    (break_libraries, "graph/spec.py", "from torch import nn", "torch"),
    (break_libraries, "store/objects.py", "from safetensors.torch import save", "safetensors.torch"),
    (break_libraries, "layers/neural.py", "from torch import nn", ""),
    (break_libraries, "store/catalog/rows.py", "import sqlalchemy as sa", ""),
    (break_libraries, "store/packs.py", "def f():\n    import sqlalchemy", "sqlalchemy"),
    (break_libraries, "cli/serve.py", "import uvicorn", "uvicorn"),
    (break_lazy, "engine/plan.py", "def f():\n    from layerwise.store import disk", "inside a function"),
    (break_lazy, "engine/plan.py", "def f():\n    import pandas", ""),
    (break_lazy, "cli/train.py", "def f():\n    from layerwise.engine import train", ""),
    (break_lazy, "__init__.py", "def __getattr__(name):\n    from layerwise import engine", ""),
    (break_forbidden, "repo.py", "import pickle", "pickle"),
    (break_forbidden, "repo.py", "from torch import load as fetch\nfetch(x)", "torch.load"),
    (break_forbidden, "repo.py", "import yaml\nreader = yaml.load", "yaml.load"),
    (break_forbidden, "repo.py", "import yaml\nyaml.safe_load(x)", ""),
    (break_forbidden, "repo.py", "archive.extractall(x)", "extractall"),
    (break_forbidden, "repo.py", "run(x, shell=True)", "shell"),
    (break_forbidden, "repo.py", "run(x, shell=False)", ""),
    (break_forbidden, "repo.py", "import numpy as np\nnp.load(x, allow_pickle=flag)", "pickle"),
    (break_forbidden, "repo.py", "key = hash(x)", "hash()"),
    (break_forbidden, "repo.py", "class A:\n    def __hash__(self):\n        return hash(self.x)", ""),
    (break_forbidden, "repo.py", "from hashlib import md5\nmd5(x)", "hashlib.md5"),
    (break_forbidden, "repo.py", "from importlib import import_module\nimport_module(x)", "importlib"),
    (break_forbidden, "repo.py", "eval(x)", "eval"),
    (break_forbidden, "repo.py", "module.eval()", ""),
    (break_effects, "repo.py", "import os\nos.replace(a, b)", "os.replace"),
    (break_effects, "repo.py", "from os import fsync as settle\nsettle(1)", "os.fsync"),
    (break_effects, "repo.py", "open(p, 'w')", "open"),
    (break_effects, "repo.py", "open(p, mode='r+b')", "open"),
    (break_effects, "repo.py", "open(p)\nopen(p, 'rb')\np.open()\nimage.open(p)", ""),
    (break_effects, "repo.py", "p.open('ab')", ".open"),
    (break_effects, "repo.py", "p.write_text('')", ".write_text"),
    (break_effects, "repo.py", "p.replace(q)", ".replace"),
    (break_effects, "repo.py", "s.replace('a', 'b')\nreplace(x, a=1)\nspec.replace(a=1)", ""),
    (break_effects, "repo.py", "import shutil\nshutil.rmtree(p)", "shutil.rmtree"),
    (break_effects, "repo.py", "import shutil\nshutil.which(p)", ""),
    (break_effects, "repo.py", "import numpy as np\nnp.memmap(p, np.uint8, 'r')", ""),
    (break_effects, "repo.py", "import numpy as np\nnp.memmap(p, np.uint8)", "numpy.memmap"),
    (break_effects, "store/disk.py", "import os\nos.replace(a, b)", ""),
    (break_docstrings, "repo.py", '"""A."""\ndef f(): ...', "f has no docstring"),
    (
        break_docstrings,
        "repo.py",
        '"""A."""\nclass A:\n    """A."""\n    def f(self): ...',
        "A.f has no docstring",
    ),
    (break_docstrings, "repo.py", '"""A."""\nclass _A:\n    def f(self): ...\ndef _g(): ...', ""),
    (break_docstrings, "repo.py", "x = 1", "module"),
    (break_lengths, "repo.py", "x = 1\n" * 251, "251 lines"),
    (break_lengths, "repo.py", '"""A."""\n' + "# a comment\n\n" * 251 + "x = 1\n" * 250, ""),
    (break_lengths, "repo.py", "def f():\n" + "    x = 1\n" * 40, "f has 41 lines"),
    (break_lengths, "repo.py", 'def f():\n    """A.\n\n    B.\n    """\n' + "    x = 1\n" * 39, ""),
)


@pytest.mark.parametrize(("rule", "path", "text", "word"), CASES)
def test_the_rules_see(rule: Rule, path: str, text: str, word: str) -> None:
    siblings = frozenset({"layerwise.repo", "layerwise.store.disk", "layerwise.graph.spec", "layerwise.graph"})
    breaches = "\n".join(rule(Module(path, text, siblings)))
    assert (word in breaches) if word else not breaches, breaches


def test_a_cycle_is_seen() -> None:
    names = frozenset({"layerwise.store.a", "layerwise.store.b"})
    a = Module("store/a.py", "from layerwise.store import b", names)
    b = Module("store/b.py", "def f():\n    from layerwise.store.a import x", names)
    assert set(find_cycle([a, b])) == names
    assert find_cycle([a, Module("store/b.py", "", names)]) == []
