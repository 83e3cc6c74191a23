"""Loop nests as text, for the architecture page."""

from __future__ import annotations

from typing import Any

from weft.ir.printer import Printer
from weft.lowering import loops as L

BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "=="}
BINARY |= {"reduce_sum": "+", "reduce_prod": "*"}


def to_text(program: L.Program) -> str:
    """A lowered program: buffers, loops and what they do, one statement a line."""
    return _Text(program).whole()


class _Text:
    def __init__(self, program: L.Program) -> None:
        self.program = program
        self.ir = Printer()
        self.lines: list[str] = []
        self.names: dict[L.Buffer, str] = {}

    def buffer(self, b: L.Buffer) -> str:
        """A buffer's name, primed where another has it."""
        if b not in self.names:
            name = b.name
            while name in self.names.values():
                name += "'"
            self.names[b] = name
        return self.names[b]

    def whole(self) -> str:
        params = [self.buffer(p) if isinstance(p, L.Buffer) else self.ir.name(p) for p in self.program.params]
        self.lines.append(f"program {self.program.name}({', '.join(params)})")
        self.block(self.program.body, 1)
        return "\n".join(self.lines) + "\n"

    def block(self, body: list[L.Stmt], depth: int) -> None:
        for s in body:
            self.stmt(s, depth)

    def put(self, depth: int, text: str) -> None:
        self.lines.append("  " * depth + text)

    def stmt(self, s: L.Stmt, depth: int) -> None:
        match s:
            case L.Let():
                self.put(depth, f"{self.ir.name(s.var)} = {'?' if s.expr is None else self.expr(s.expr)}")
            case L.Assign():
                self.put(depth, f"{self.ir.name(s.var)} := {self.expr(s.expr)}")
            case L.Write():
                how = f"{BINARY.get(s.combine.name, s.combine.name)}=" if s.combine else "="
                self.put(depth, f"{self.place(s.place)} {how} {self.expr(s.expr)}")
            case L.Loop():
                words = [w for w in ("parallel", "vector", "reverse") if getattr(s, w)]
                words += [f"{p.name} into {self.ir.name(v)}" for p, v in s.reductions]
                note = f"   [{', '.join(words)}]" if words else ""
                self.put(depth, f"for {self.ir.name(s.var)} in 0..{self.ir.size(s.size)}:{note}")
                self.block(s.setup, depth + 1)
                self.block(s.body, depth + 1)
            case L.Forever():
                self.put(depth, "loop:")
                self.block(s.head, depth + 1)
                self.put(depth + 1, f"leave unless {self.expr(s.test)}")
                self.block(s.body, depth + 1)
            case L.Branch():
                self.put(depth, f"if {self.expr(s.test)}:")
                self.block(s.then, depth + 1)
                if s.orelse:
                    self.put(depth, "else:")
                    self.block(s.orelse, depth + 1)
            case L.Alloc():
                kind = "result" if s.buffer.home == "result" else s.buffer.home
                shape = ", ".join(self.ir.size(n) for n in s.buffer.shape)
                self.put(depth, f"{self.buffer(s.buffer)}: {s.buffer.dtype}[{shape}] in {kind} memory")
            case L.Release():
                self.put(depth, f"release {self.buffer(s.buffer)}")
            case L.Copy():
                count = " * ".join(self.ir.size(n) for n in s.count) or "1"
                self.put(
                    depth,
                    f"copy {count} elements from {self.buffer(s.source.buffer)} to {self.buffer(s.target.buffer)}",
                )
            case L.Output():
                self.put(depth, f"return {self.expr(s.expr)} as result {s.number}")
            case _:
                raise TypeError(f"the architecture page has no words for {type(s).__name__}")

    def place(self, p: L.Place) -> str:
        return f"{self.buffer(p.buffer)}[{', '.join(self.ir.size(i) for i in p.index)}]"

    def expr(self, e: Any) -> str:
        match e:
            case L.Const():
                return str(e.value)
            case L.Ref():
                return self.ir.name(e.var)
            case L.Index():
                return self.ir.size(e.size)
            case L.Load():
                return self.place(e.place)
            case L.Apply() | L.Combine():
                args = e.args if isinstance(e, L.Apply) else (e.left, e.right)
                shown = [self.expr(a) for a in args]
                if e.prim.name in BINARY and len(shown) == 2:
                    return f"({shown[0]} {BINARY[e.prim.name]} {shown[1]})"
                return f"{e.prim.name}({', '.join(shown)})"
            case L.Builtin():
                return f"{e.name}({', '.join(self.expr(a) for a in e.args)})"
        raise TypeError(f"the architecture page has no words for {type(e).__name__}")
