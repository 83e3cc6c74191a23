"""Functions as readable NumPy Python: this is what ``grad(f).source`` shows.

The text runs: it computes what the interpreter computes (with NumPy's and Python's own errors for what is out of
range), and changes no argument.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    Gather,
    If,
    Lit,
    Map,
    Op,
    Stmt,
    Var,
    While,
)  # fmt: skip
from weft.ir.primitive import REGISTRY, Reindex
from weft.ir.types import ArrayType, f64
from weft.ir.unparse_expr import Expressions, attribute, call, dtype_text, names_in, negated, np_name
from weft.ir.unparse_plan import Point, plan, writers


def to_python(f: Function, name: str | None = None) -> str:
    """The function as Python source over NumPy (imported as ``np``).

    Parameters
    ----------
    f
        What to print. Calls must have been inlined.
    name
        The Python function's name; by default the function's own.
    """
    return _Unparser(f).function(name or f.name) + "\n"


class _Unparser(Expressions):
    def __init__(self, f: Function) -> None:
        super().__init__(plan(f))
        self.f = f
        self.lines: list[str] = []
        self.depth = 0
        self.views: set[Var] = set()  # inlined results that share memory with an array
        self.fresh: set[Var] = set()  # named results that share no memory

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # -- the function ------------------------------------------------------------------------------------------------

    def function(self, name: str) -> str:
        f = self.f
        for p in f.params:
            self.name(p)
        params = ", ".join([self.name(p) for p in f.params])
        self.line(f"def {name}({params}):")
        self.depth = 1
        self.bind_sizes()
        for p in f.params:
            if self.plan.head(p) in self.plan.mutated and p.type.shape:
                self.line(f"{self.name(p)} = {self.name(p)}.copy()")
        self.block(f.body)
        if f.results:
            end = self.plan.ends[id(f.body)]
            self.line("return " + ", ".join([ast.unparse(self.result(r, k, end)) for k, r in enumerate(f.results)]))
        elif len(self.lines) == 1:
            self.line("pass")
        return "\n".join(self.lines)

    def result(self, r: Atom, k: int, end: Point) -> ast.expr:
        """A result: an array that is returned twice is copied."""
        twice = isinstance(r, Var) and bool(r.type.shape) and any([q is r for q in self.f.results[:k]])
        return call(attribute(self.expr(r), "copy")) if twice else self.expr(r)

    def bind_sizes(self) -> None:
        """``n, m = A.shape`` for the sizes that are used."""
        wanted: dict[int, list[tuple[Var, int]]] = {}
        for v, p, axis in self.f.sizes:
            if v in self.plan.used:
                wanted.setdefault(p, []).append((v, axis))
        for p, axes in wanted.items():
            x = self.name(self.f.params[p])
            rank = self.f.params[p].type.rank
            if rank == 1:
                self.line(f"{self.name(axes[0][0])} = len({x})")
            elif len(axes) == rank:
                self.line(f"{', '.join([self.name(v) for v, _ in axes])} = {x}.shape")
            else:
                for v, axis in axes:
                    self.line(f"{self.name(v)} = {x}.shape[{axis}]")

    def block(self, b: Block, collects: Sequence[tuple[Atom, str]] = ()) -> None:
        """Statements; each collected value is put into its array as soon as it is known."""
        waiting: dict[Var, list[str]] = {}
        local = {o for s in b.stmts for o in s.outs}
        for r, form in collects:
            if isinstance(r, Var) and r in local and r not in self.plan.inline:
                waiting.setdefault(r, []).append(form)
            elif isinstance(r, Var) and r in b.params:
                self.line(form.format(self.text(r)))
        for s in b.stmts:
            self.stmt(s)
            for o in s.outs:
                for form in waiting.get(o, ()):
                    self.line(form.format(self.text(o)))

    def late_collects(self, b: Block, collects: Sequence[tuple[Atom, str]]) -> None:
        """Collected values that are expressions, literals or outer variables."""
        local = {o for s in b.stmts for o in s.outs}
        for r, form in collects:
            if isinstance(r, Lit) or r in self.plan.inline or (r not in local and r not in b.params):
                self.line(form.format(self.text(r)))

    # -- statements --------------------------------------------------------------------------------------------------

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                self.op(s)
            case For():
                self.for_(s)
            case While():
                self.while_(s)
            case If():
                self.if_(s)
            case Map():
                self.map_(s)
            case Call():
                raise NotImplementedError(f"a call of {s.func.name} has no Python text: inline it first")
            case _:
                raise TypeError(f"not a statement: {s!r}")

    def op(self, s: Op) -> None:
        if s.prim is REGISTRY.get("check"):
            message = self.message(s.attrs["message"], s.args[1:])
            self.line(f"if {ast.unparse(negated(self.expr(s.args[0])))}:")
            self.line(f"    raise {s.attrs['exc']}({message})")
            return
        if s.prim is REGISTRY.get("print"):
            text = s.attrs["text"]
            end = "" if text.endswith("\n") else ', end=""'
            self.line(f"print({self.message(text.removesuffix(chr(10)), s.args)}{end})")
            return
        if s.prim in writers():
            self.write(s)
            return
        if not s.outs:
            self.line(ast.unparse(self.value(s)))
            return
        value = self.value(s)
        if len(s.outs) == 1 and s.outs[0] in self.plan.inline:
            self.exprs[s.outs[0]] = value
            if self.is_view(s):
                self.views.add(s.outs[0])
            return
        if s.prim.dependent_results:
            self.dependent(s, value)
            return
        if all([o not in self.plan.used for o in s.outs]):
            if not s.prim.effect:
                return
        if len(s.outs) == 1:
            if self.is_view(s) and self.unsafe_view(s):
                value = call(attribute(value, "copy"))
            elif not self.is_view(s):
                self.fresh.add(s.outs[0])
            self.assign(self.name(s.outs[0]), value, s.outs[0].type)
        else:
            self.line(f"{', '.join([self.name(o) for o in s.outs])} = {ast.unparse(value)}")

    def dependent(self, s: Op, value: ast.expr) -> None:
        """A primitive that computes a size: its Python gives the arrays, and the size is their length."""
        count, *arrays = s.outs
        names = ", ".join([self.name(a) for a in arrays])
        self.line(f"{names}{',' if len(arrays) == 1 else ''} = {ast.unparse(value)}")
        if count in self.plan.used:
            self.line(f"{self.name(count)} = len({self.name(arrays[0])})")

    def message(self, template: str, args: Sequence[Atom]) -> str:
        if not args:
            return repr(template.format())
        return f"{template!r}.format({', '.join(map(self.text, args))})"

    def assign(self, target: str, value: ast.expr, t: ArrayType) -> None:
        """``target = value``, or ``target += value`` for scalars."""
        if isinstance(value, ast.Name) and value.id == target:
            return
        if (
            isinstance(value, ast.BinOp)
            and not t.shape
            and isinstance(value.left, ast.Name)
            and value.left.id == target
        ):
            symbol = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}.get(type(value.op))
            if symbol:
                self.line(f"{target} {symbol}= {ast.unparse(value.right)}")
                return
        self.line(f"{target} = {ast.unparse(value)}")

    # -- arrays in place ---------------------------------------------------------------------------------------------

    def is_view(self, s: Op) -> bool:
        """Whether an op's result shares memory with its operand."""
        if not s.outs[0].type.shape:
            return False
        if s.prim is REGISTRY["index"]:
            return Gather() not in s.attrs["spec"]
        if s.prim is REGISTRY.get("stop_gradient"):
            return True
        return isinstance(s.prim.kind, Reindex) and bool(s.args) and bool(s.args[0].type.shape)

    def unsafe_view(self, s: Op) -> bool:
        """Whether a named view must be a copy: it, or the array it shows, is written in place."""
        heads = [self.plan.head(v) for v in (s.outs[0], *self.roots(s.args[0]))]
        return any([h in self.plan.mutated for h in heads]) or any(
            [v in self.plan.used and v in self.views for v in heads]
        )

    def roots(self, a: Atom) -> list[Var]:
        """The variables whose memory an operand may show."""
        if not isinstance(a, Var):
            return []
        if a in self.exprs:
            return [v for v in self.f_vars(self.exprs[a])]
        return [a]

    def f_vars(self, e: ast.expr) -> Iterable[Var]:
        """The array variables named in an expression."""
        names = {n.id for n in ast.walk(e) if isinstance(n, ast.Name)}
        return [v for v, text in self.names.items() if text in names]

    def owned(self, a: Atom, target: Var, point: Point) -> ast.expr:
        """The value of ``a`` for the variable ``target``: a copy if the two would otherwise share an array that is
        written in place while both are in use."""
        value = self.expr(a)
        if not isinstance(a, Var) or not a.type.shape:
            return value
        into = self.plan.head(target) in self.plan.mutated
        if a in self.exprs:
            shared = a in self.views and (into or any([self.plan.head(v) in self.plan.mutated for v in self.roots(a)]))
            return call(attribute(value, "copy")) if shared else value
        risky = into or self.plan.head(a) in self.plan.mutated
        last = not self.plan.live_after(a, point) and self.plan.uses_at(a, point) <= 1
        return call(attribute(value, "copy")) if risky and not (last and self.owns(a)) else value

    def owns(self, v: Var) -> bool:
        """Whether the array that a name stands for is known to have no other name: what flows into a name that is
        written in place is copied, and a name that is assigned once may hold a new array."""
        if self.plan.head(v) in self.plan.mutated:
            return True
        alone = len(self.plan.members.get(self.plan.head(v), [v])) == 1
        return alone and v in self.fresh

    def write(self, s: Op) -> None:
        """A store or an addition in place; the array is copied first if its old value is still needed."""
        array, v, *operands = s.args
        out = s.outs[0]
        if out not in self.plan.used:
            return
        name = self.name(out)
        if not self.plan.same(array, out):
            base = self.expr(array)
            fresh = isinstance(array, Var) and array in self.exprs and array not in self.views
            self.assign(name, base if fresh else call(attribute(base, "copy")), out.type)
        attrs = {k: self.static(x) for k, x in s.attrs.items()}
        value = self.expr(v)
        target = self.subscript(out, ast.Name(name), [self.expr(o) for o in operands], attrs)
        if isinstance(target, ast.Call):  # a reversed span: np.flip(x[...], axis=...)
            if v.type.shape:
                value = ast.Call(target.func, [value], target.keywords)
            target = target.args[0]
        add = s.prim is REGISTRY["accum"]
        if isinstance(target, ast.Name):
            self.line(f"{name} = {f'{name} + ' if add else ''}{ast.unparse(value)}")
        elif add and Gather() in s.attrs["spec"]:
            assert isinstance(target, ast.Subscript)
            key = target.slice
            if any([isinstance(n, ast.Slice) for n in ast.walk(key)]):
                key = ast.Subscript(attribute(ast.Name("np"), "s_"), key)
            self.line(ast.unparse(call(np_name("add.at"), target.value, key, value)))
        else:
            self.line(f"{ast.unparse(target)} {'+=' if add else '='} {ast.unparse(value)}")

    # -- assignments between blocks ----------------------------------------------------------------------------------

    def parallel(self, pairs: Sequence[tuple[Var, Atom]], point: Point) -> None:
        """Assign all at once: one after another where that is the same."""
        todo: list[tuple[str, ast.expr, Var]] = []
        for v, a in pairs:
            if self.class_used(v) and not self.plan.same(v, a):
                todo.append((self.name(v), self.owned(a, v, point), v))
        targets = [t for t, _, _ in todo]
        for k, (target, _, _) in enumerate(todo):
            if any([target in names_in(e) for _, e, _ in todo[k + 1 :]]):
                self.line(f"{', '.join(targets)} = {', '.join([ast.unparse(e) for _, e, _ in todo])}")
                return
        for target, e, v in todo:
            self.assign(target, e, v.type)

    def class_used(self, v: Var) -> bool:
        """Whether any variable of the class is used."""
        return any([m in self.plan.used for m in self.plan.members.get(self.plan.head(v), [v])])

    # -- control flow ------------------------------------------------------------------------------------------------

    def body(self, b: Block, collects: Sequence[tuple[Atom, str]], nexts: Sequence[tuple[Var, Atom]]) -> None:
        """An indented loop body."""
        self.depth += 1
        n = len(self.lines)
        self.block(b, collects)
        self.late_collects(b, collects)
        self.parallel(nexts, self.plan.ends[id(b)])
        if len(self.lines) == n:
            self.line("pass")
        self.depth -= 1

    def allocate(self, o: Var) -> None:
        self.fresh.add(o)
        dtype = "" if o.type.dtype == f64 else f", dtype={dtype_text(o.type)}"
        self.line(f"{self.name(o)} = np.empty({self.shape(o.type.shape)}{dtype})")

    def for_(self, s: For) -> None:
        k, *params = s.body.params
        n = len(params)
        point = self.plan.where[id(s)]
        self.parallel(list(zip(params, s.inits, strict=True)), point)
        collects: list[tuple[Atom, str]] = []
        index = self.name(k) if k in self.plan.used or any([o in self.plan.used for o in s.outs[n:]]) else "_"
        for o, r in zip(s.outs[n:], s.body.results[n:], strict=True):
            if o in self.plan.used:
                self.allocate(o)
                collects.append((r, f"{self.name(o)}[{index}] = {{}}"))
        span = f"range({self.size(s.trip)})"
        self.line(f"for {index} in {f'reversed({span})' if s.reverse else span}:")
        self.body(s.body, collects, list(zip(params, s.body.results[:n], strict=True)))

    def map_(self, s: Map) -> None:
        m, n = len(s.sizes), len(s.inits)
        params = s.body.params[m:]
        self.parallel(list(zip(params, s.inits, strict=True)), self.plan.where[id(s)])
        indices = [self.name(v) for v in s.body.params[:m]]
        collects: list[tuple[Atom, str]] = []
        for o, r in zip(s.outs[n:], s.body.results[n:], strict=True):
            if o in self.plan.used:
                self.allocate(o)
                collects.append((r, f"{self.name(o)}[{', '.join(indices)}] = {{}}"))
        for index, size in zip(indices, s.sizes, strict=True):
            self.line(f"for {index} in range({self.size(size)}):")
            self.depth += 1
        self.depth -= 1
        self.body(s.body, collects, list(zip(params, s.body.results[:n], strict=True)))
        self.depth -= m - 1

    def while_(self, s: While) -> None:
        n = len(s.inits)
        self.parallel(list(zip(s.body.params, s.inits, strict=True)), self.plan.where[id(s)])
        trip, stacked = s.outs[n], s.outs[n + 1 :]
        kept = [(o, r) for o, r in zip(stacked, s.body.results[n:], strict=True) if o in self.plan.used]
        collects: list[tuple[Atom, str]] = []
        for o, r in kept:
            self.line(f"{self.name(o)} = []")
            copied = ".copy()" if isinstance(r, Var) and r.type.shape and self.plan.head(r) in self.plan.mutated else ""
            collects.append((r, f"{self.name(o)}.append({{}}{copied})"))
        counted = trip in self.plan.used and not kept
        if counted:
            self.line(f"{self.name(trip)} = 0")
        simple = all([isinstance(t, Op) and len(t.outs) == 1 and t.outs[0] in self.plan.inline for t in s.cond.stmts])
        if simple:
            self.block(s.cond)
            self.line(f"while {self.text(s.cond.results[0])}:")
        else:
            self.line("while True:")
            self.depth += 1
            self.block(s.cond)
            self.line(f"if {ast.unparse(negated(self.expr(s.cond.results[0])))}:")
            self.line("    break")
            self.depth -= 1
        self.body(s.body, collects, list(zip(s.body.params, s.body.results[:n], strict=True)))
        if counted:
            self.lines[-1:] = [l for l in self.lines[-1:] if l.strip() != "pass"]
            self.line(f"    {self.name(trip)} += 1")
        if trip in self.plan.used and kept:
            self.line(f"{self.name(trip)} = len({self.name(kept[0][0])})")
        for o, r in kept:
            text = f"np.array({self.name(o)}, dtype={dtype_text(o.type)})"
            if r.type.shape:
                lead = self.name(trip) if trip in self.plan.used else f"len({self.name(o)})"
                text += f".reshape({lead}, {', '.join(map(self.size, r.type.shape))})"
            self.line(f"{self.name(o)} = {text}")

    def if_(self, s: If) -> None:
        texts: list[list[str]] = []
        for b in (s.then, s.orelse):
            outer, self.lines = self.lines, []
            self.depth += 1
            self.block(b)
            self.parallel(list(zip(s.outs, b.results, strict=True)), self.plan.ends[id(b)])
            self.depth -= 1
            texts.append(self.lines)
            self.lines = outer
        then, orelse = texts
        if not then and not orelse:
            return
        if not then:
            self.line(f"if {ast.unparse(negated(self.expr(s.pred)))}:")
            self.lines += orelse
            return
        self.line(f"if {self.text(s.pred)}:")
        self.lines += then
        if orelse:
            self.line("else:")
            self.lines += orelse
