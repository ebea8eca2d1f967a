"""The sources that are run for a program: its function called, or the module as it stands. Pure.

Each source ends in a pair: the value that the program returns, and the value that it ends with,
for programs which return nothing.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Iterable, Iterator

from ssr_local.answers import program_fraction

_ENTRY = "solution"
_LAST = "last_"

_Function = ast.FunctionDef | ast.Lambda
_IMPORTS = (ast.Import, ast.ImportFrom)


def sources(tree: ast.Module) -> Iterator[str]:
    """The sources to try in this order until one has an answer.

    ``solution``, or the last function that no other function calls, is called without what the
    module does for show, so that a broken example does not cost the answer. A module that calls
    it with arguments itself knows better.
    """
    _adapt(tree)
    tree.body = [part for node in tree.body for part in _without_guard(node)]
    functions = _functions(tree)
    entry = _entry(functions)
    knows_better = entry and _is_called_with_arguments(tree, entry)
    if entry and not knows_better:
        yield _calling(tree, entry)
    yield _whole(tree)
    if entry and knows_better:
        yield _calling(tree, entry)
    elif not entry:
        for name in reversed([name for name, node in functions.items() if not needs(node)]):
            yield _calling(tree, name)
            break


def uncalled(tree: ast.Module) -> str:
    """What to say of a program whose function nobody calls and nobody can; "" for others."""
    functions = _functions(tree)
    used = {node.id for node in _outside(tree) if isinstance(node, ast.Name)}
    for name, node in reversed(functions.items()):
        if needs(node) and not functions.keys() & used:
            return f"nothing calls its function {name}, which needs {', '.join(needs(node))}"
    return ""


def needs(function: _Function) -> list[str]:
    """The arguments that a function cannot be called without."""
    positional = [*function.args.posonlyargs, *function.args.args]
    required = positional[: len(positional) - len(function.args.defaults)]
    keywords = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return [arg.arg for arg in (*required, *(arg for arg, default in keywords if not default))]


def _functions(tree: ast.Module) -> dict[str, _Function]:
    """The module's functions, the last definition of each name, in their order."""
    found: dict[str, _Function] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.pop(node.name, None)
            found[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            found.update((target.id, node.value) for target in _names(node.targets))
    return found


def _entry(functions: dict[str, _Function]) -> str | None:
    """The function whose value is the answer, when it needs no arguments."""
    name: str | None = _ENTRY
    if name not in functions:
        helpers = {
            node.id
            for owner, function in functions.items()
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and node.id != owner
        }
        name = next((name for name in reversed(functions) if name not in helpers), None)
    return name if name and not needs(functions[name]) else None


def _without_guard(node: ast.stmt) -> list[ast.stmt]:
    """What stands below ``if __name__ == "__main__":``; any other statement alone."""
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return node.body
    return [node]


def _outside(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run with the module, the bodies of functions and classes left out."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _is_called_with_arguments(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == name
        and bool(node.args or node.keywords)
        for node in _outside(tree)
    )


def _calling(tree: ast.Module, name: str) -> str:
    """The module without what it does for show, and the call."""
    using = _users(tree, name)
    kept = [node for node in tree.body if not _is_for_show(node, using)]
    return f"{_unparsed(kept)}\n({name}(), None)"


def _users(tree: ast.Module, name: str) -> set[str]:
    """A function, and those that call it, as tests of the model's own do."""
    using = {name}
    while more := {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name not in using and _used(node) & using
    }:
        using |= more
    return using


def _used(node: ast.AST) -> set[str]:
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Load)}


def _is_for_show(node: ast.stmt, using: set[str]) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Expr | ast.Assign | ast.For | ast.If | ast.Try):
        return False
    used = _used(node)
    return bool(using & used) or (isinstance(node, ast.Expr) and "print" in used)


def _whole(tree: ast.Module) -> str:
    """The module as it stands; a ``return`` outside functions ends it."""
    body = [_Returns().visit(copy.deepcopy(node)) for node in tree.body]
    name = _last_assigned(tree.body)
    if isinstance(last := body[-1] if body else None, ast.Expr) and not _is_text(last):
        source = f"{_unparsed(body[:-1])}\n{_LAST} = {ast.unparse(last.value)}"
        return f"{source}\n(None, {_LAST} if {_LAST} is not None else {name})"
    return f"{_unparsed(body)}\n(None, {name})"


class _Returns(ast.NodeTransformer):
    """Makes a ``return`` outside functions give the pair."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        value = node.value or ast.Constant(None)
        return ast.Return(ast.Tuple([value, ast.Constant(None)], ast.Load()))


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _last_assigned(body: list[ast.stmt]) -> str:
    """The variable, or the tuple of them, that is set last after the functions; or None.

    Only what surely has a value counts: what a loop or a branch alone sets may have none.
    """
    certain: set[str] = set()
    last = "None"
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            last = "None"
            continue
        for part in sorted(ast.walk(node), key=lambda part: getattr(part, "lineno", 0)):
            if not isinstance(part, ast.Assign | ast.AugAssign | ast.AnnAssign) or not part.value:
                continue
            if isinstance(part.value, ast.Lambda):
                continue
            targets = part.targets[-1:] if isinstance(part, ast.Assign) else [part.target]
            names = [name.id for name in _names(targets)]
            if part is node:
                certain.update(names)
            if names and certain.issuperset(names):
                last = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return last


def _names(targets: Iterable[ast.expr]) -> list[ast.Name]:
    """The variables behind targets: x of ``x``, ``x[0]`` and ``x.y``, both of ``x, y``."""
    found: list[ast.Name] = []
    for target in targets:
        while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
            target = target.value
        if isinstance(target, ast.Tuple | ast.List):
            found += _names(target.elts)
        elif isinstance(target, ast.Name):
            found.append(target)
    return found


def _unparsed(body: list[ast.stmt]) -> str:
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def _adapt(tree: ast.Module) -> None:
    """Imports as the interpreter can follow them; those of which nothing is used are left out."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imports = _Imports(used)
    imports.visit(tree)
    if imports.needs_fractions:
        tree.body = [*ast.parse(program_fraction.SOURCE).body, *tree.body]


class _Imports(ast.NodeTransformer):
    def __init__(self, used: set[str]) -> None:
        self._used = used
        self.needs_fractions = False

    def visit_Import(self, node: ast.Import) -> ast.AST | list[ast.stmt]:
        kept: list[ast.stmt] = [ast.Pass()]
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if alias.name == "fractions":
                kept.append(self._fraction(name, program_fraction.MODULE))
            elif name in self._used:
                kept.append(ast.Import([alias]))
        return kept

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.stmt]:
        if node.module == "__future__":
            return ast.Pass()
        if node.module == "fractions":
            names = [alias.asname or alias.name for alias in node.names]
            bound = [name for name in names if name not in ("*", "Fraction")]
            self.needs_fractions = True
            return [ast.Pass(), *(self._fraction(name, "Fraction") for name in bound)]
        if node.module == "math" and node.names[0].name == "*":
            members = sorted(self._used & set(dir(math)))
            node.names = [ast.alias(name) for name in members if not name.startswith("_")]
        kept = [alias for alias in node.names if (alias.asname or alias.name) in {*self._used, "*"}]
        return ast.ImportFrom(node.module, kept, node.level) if kept else ast.Pass()

    def _fraction(self, name: str, source: str) -> ast.stmt:
        self.needs_fractions = True
        return ast.Assign([ast.Name(name, ast.Store())], ast.Name(source, ast.Load()))
