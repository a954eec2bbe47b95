"""Machine code of CUDA kernels, as cuobjdump prints it: instructions, their pipes, and the loops they form."""
import collections
import re

LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:(@!?\w+)\s+)?([A-Z]\w*)((?:\.\w+)*)\s*(.*?)\s*;")
INSTRUCTION_BYTES = 16
LANES = 32

TENSOR = {"IMMA", "HMMA", "DMMA", "IGMMA", "HGMMA", "QGMMA"}
WGMMA = {name for name in TENSOR if name.endswith("GMMA")}
FMA = {"FFMA", "FMUL", "FADD", "IMAD", "HADD2", "HFMA2", "HMUL2", "IDP"}
CONVERSION = {"MUFU", "I2F", "F2I", "F2F", "POPC", "FLO", "BREV", "FCHK"}
MEMORY = {"LDG", "LDS", "LDSM", "LDC", "LDL", "LDGSTS", "STG", "STS", "STSM", "STL", "ATOM", "ATOMS", "ATOMG", "RED",
          "SHFL", "CCTL", "MEMBAR", "UBLKCP", "S2R"}
CONTROL = {"BRA", "BSSY", "BSYNC", "BREAK", "BAR", "CALL", "RET", "EXIT", "NOP", "WARPSYNC", "ENDCOLLECTIVE", "DEPBAR",
           "LDGDEPBAR", "WARPGROUP", "SYNCS", "ELECT", "YIELD", "FENCE", "ERRBAR", "CGAERRBAR", "UCGABAR_ARV",
           "UCGABAR_WAIT"}
PIPES = ("tensor", "fma", "alu", "memory", "conversion", "uniform", "control")

Instruction = collections.namedtuple("Instruction", "address predicate name suffix operands")


def kernels(text):
    """The instructions of each kernel in what `cuobjdump -sass` prints of one architecture."""
    code = {}
    current = None
    for line in text.splitlines():
        if "Function : " in line:
            current = code.setdefault(line.split("Function : ")[1].strip(), [])
        elif current is not None and (match := LINE.search(line)):
            address, predicate, name, suffix, operands = match.groups()
            current.append(Instruction(int(address, 16), predicate, name, suffix, operands))
    return code


def pipe(instruction):
    """Where an instruction is issued to; what is not known by name is arithmetic of integers and selections."""
    name = instruction.name
    for names, found in ((TENSOR, "tensor"), (FMA, "fma"), (CONVERSION, "conversion"), (MEMORY, "memory"),
                         (CONTROL, "control")):
        if name in names:
            return found
    return "uniform" if name.startswith("U") or name in ("R2UR", "S2UR", "VOTEU") else "alu"


def loaded_bytes(instruction):
    """Bytes of global memory that a warp with all of its lanes asks for."""
    if instruction.name not in ("LDG", "LDGSTS"):
        return 0
    for part, size in ((".128", 16), (".64", 8), (".U16", 2), (".S16", 2), (".U8", 1), (".S8", 1)):
        if part in instruction.suffix:
            return size * LANES
    return 4 * LANES


def operations(instruction):
    """Multiplications and additions of a warp's tensor-core instruction; a wgmma is of four warps."""
    if pipe(instruction) != "tensor":
        return 0
    if match := re.match(r"\.(\d+)x(\d+)x(\d+)", instruction.suffix):
        rows, columns, depth = map(int, match.groups())
        return 2 * rows * columns * depth // 4
    rows, columns, depth = re.match(r"\.(16|8)(8|4)(\d+)", instruction.suffix).groups()
    return 2 * int(rows) * int(columns) * int(depth)


def target(instruction):
    """Where a branch goes to, or None."""
    if instruction.name != "BRA" or not (match := re.search(r"0x([0-9a-f]+)$", instruction.operands)):
        return None
    return int(match.group(1), 16)


class Flow:
    """Basic blocks of a kernel, and the natural loops among them. The path of lanes that have gone apart where a warp
    should be together (BRA.DIV) is left out: it is there for a case that does not come."""

    def __init__(self, code):
        self.code = code
        position = {instruction.address: i for i, instruction in enumerate(code)}
        starts = {0}
        for i, instruction in enumerate(code):
            goal = target(instruction)
            if goal is not None:
                starts.add(position[goal])
            if goal is not None or instruction.name in ("EXIT", "RET"):
                starts.add(i + 1)
        starts = sorted(start for start in starts if start < len(code))
        block_at = {start: block for block, start in enumerate(starts)}
        self.ranges = list(zip(starts, starts[1:] + [len(code)]))
        self.next = []
        for first, end in self.ranges:
            last = code[end - 1]
            goal = target(last)
            follows = []
            if goal is not None and ".DIV" not in last.suffix:
                follows.append(block_at[position[goal]])
            always = last.predicate is None and ".U" not in last.suffix and last.name in ("BRA", "EXIT", "RET")
            if end < len(code) and (not always or ".DIV" in last.suffix):
                follows.append(block_at[end])
            self.next.append(follows)

    def instructions(self, blocks):
        return [i for block in sorted(blocks) for i in self.code[slice(*self.ranges[block])]]

    def before(self):
        found = collections.defaultdict(list)
        for block, follows in enumerate(self.next):
            for follow in follows:
                found[follow].append(block)
        return found

    def order(self):
        """Blocks that the first one leads to, each after those that lead to it first (reverse postorder)."""
        seen, done, stack = {0}, [], [(0, iter(self.next[0]))]
        while stack:
            block, follows = stack[-1]
            follow = next((f for f in follows if f not in seen), None)
            if follow is None:
                done.append(block)
                stack.pop()
            else:
                seen.add(follow)
                stack.append((follow, iter(self.next[follow])))
        return done[::-1]

    def dominators(self):
        """The nearest dominator of each block that is reached (Cooper, Harvey, Kennedy)."""
        order = self.order()
        rank = {block: i for i, block in enumerate(order)}
        before = self.before()
        nearest = {0: 0}

        def common(a, b):
            while a != b:
                if rank[a] > rank[b]:
                    a = nearest[a]
                else:
                    b = nearest[b]
            return a

        changed = True
        while changed:
            changed = False
            for block in order[1:]:
                known = [b for b in before[block] if b in nearest]
                found = known[0]
                for other in known[1:]:
                    found = common(found, other)
                if nearest.get(block) != found:
                    nearest[block] = found
                    changed = True
        return nearest

    def loops(self):
        """Natural loops: sets of blocks, those of one head together."""
        nearest = self.dominators()
        before = self.before()
        loops = {}
        for tail in nearest:
            for head in self.next[tail]:
                above = tail
                while above not in (head, 0):
                    above = nearest[above]
                if above != head:
                    continue
                body = loops.setdefault(head, {head})
                stack = [tail]
                while stack:
                    block = stack.pop()
                    if block not in body:
                        body.add(block)
                        stack += [b for b in before[block] if b in nearest]
        return list(loops.values())


def hot_loops(flow):
    """The instructions of the loops that do a kernel's work, the shortest first: there are several where one kernel is
    compiled for several layouts. Of loops with tensor-core instructions, else with loads, the innermost ones that have
    at least half as many as any; the whole kernel where there is none. Of what an H200 counted for gemv (ncu-raw.csv)
    they were 61 to 92 %, with what is seldom reached in them."""
    whole = flow.instructions(flow.order())
    loops = [(blocks, flow.instructions(blocks)) for blocks in flow.loops()]
    tensor = any(pipe(i) == "tensor" for i in whole)

    def weight(code):
        return sum(pipe(i) == "tensor" if tensor else loaded_bytes(i) for i in code)

    working = [(blocks, code) for blocks, code in loops if weight(code)]
    inner = [code for blocks, code in working if not any(other < blocks for other, _ in working)]
    if not inner:
        return [whole]
    most = max(map(weight, inner))
    return sorted((code for code in inner if 2 * weight(code) >= most), key=len)


def one_lane_copies(code):
    """Bulk copies that go out lane after lane: their operands are of a warp, so lanes with operands of their own take
    turns (ELECT, and back while there are lanes left)."""
    turns = sum(i.name == "BRA" and ".U.ANY" in i.suffix for i in code)
    return min(turns, sum(i.name == "UBLKCP" for i in code))


def full_waits(code):
    """Waits for all products of wgmma: a compiler that cannot keep them under way puts one after each."""
    return sum(i.name == "WARPGROUP" and i.operands.endswith(", 0x0") for i in code)


def registers(operands):
    return [int(r) for r in re.findall(r"\bR(\d+)\b", operands)]


def touched_accumulators(flow):
    """Instructions that touch registers in which wgmma still adds: between a first product and the wait for all of
    them, on any path."""
    held = set()
    for instruction in flow.code:
        if instruction.name in WGMMA:
            rows, columns = map(int, re.match(r"\.(\d+)x(\d+)x", instruction.suffix).groups())
            first = registers(instruction.operands)[0]
            held |= set(range(first, first + rows * columns // 128))
    faults = {}
    under_way = {0: False}
    waiting = [0]
    while waiting:
        block = waiting.pop()
        state = under_way[block]
        for instruction in flow.code[slice(*flow.ranges[block])]:
            if instruction.name in WGMMA:
                state = True
            elif instruction.name == "WARPGROUP" and instruction.operands.endswith(", 0x0"):
                state = False
            elif state and held & set(registers(instruction.operands)):
                faults[instruction.address] = f"{instruction.name}{instruction.suffix} {instruction.operands}"
        for follow in flow.next[block]:
            if follow not in under_way or (state and not under_way[follow]):
                under_way[follow] = state
                waiting.append(follow)
    return [f"/*{address:04x}*/ {text}" for address, text in sorted(faults.items())]
