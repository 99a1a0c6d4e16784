"""The memory planner against its independent checker, on random programs and on known optima."""

import random
from itertools import pairwise

import pytest

from trecx.codegen.lowering import Candidate, Isa, Lowered, Step
from trecx.codegen.plan_check import check_plan
from trecx.codegen.planner import ALIGNMENT, plan_memory
from trecx.codegen.program import build_program
from trecx.codegen.views import find_views
from trecx.errors import InputError, VerificationError
from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.ops import ConcatAttrs, SliceAttrs

QUANT = QuantParams.per_tensor(0.5, 3)


def tensor(name, size):
    return Tensor(name, (1, size), DType.INT8, QUANT)


def lowered(inputs, output, scratch=0, overlap=None, kind="ADD"):
    op = Operator(kind, list(inputs), [output])
    steps = []
    if kind != "RESHAPE":
        steps = [
            Step(
                kernel="k",
                sources=(),
                header="k.h",
                params_type="k_params",
                params={},
                inputs=tuple(inputs),
                outputs=(output,),
                scratch_bytes=scratch,
                overlap=overlap or {},
            )
        ]
    candidate = Candidate(Isa.REF, "test", steps)
    return Lowered(op, candidate, [candidate])


def program_of(*segments):
    graphs = [
        Graph(f"g{k}", inputs, outputs, [low.operator for low in lows])
        for k, (inputs, outputs, lows) in enumerate(segments)
    ]
    return build_program(
        graphs, [lows for _, _, lows in segments], [find_views(graph) for graph in graphs]
    )


def random_segment(rng, inputs, depth):
    """A random graph that reads any earlier tensor; its last tensor is the output."""
    known, lows = list(inputs), []
    for i in range(depth):
        sources = rng.sample(known, k=min(len(known), rng.choice([1, 1, 2])))
        size = rng.choice([1, 7, 64, 300, 1024])
        kind = "RESHAPE" if rng.random() < 0.15 else "ADD"
        if kind == "RESHAPE":
            sources = sources[:1]
            size = sources[0].size
        out = tensor(f"t{i}_{rng.random():.6f}", size)
        overlap = {}
        for position in range(len(sources)):
            if rng.random() < 0.5:
                overlap[position] = rng.choice([0, 16, 40, 1000])
        lows.append(lowered(sources, out, rng.choice([0, 0, 96]), overlap, kind))
        known.append(out)
    return known, lows


@pytest.mark.parametrize("seed", range(60))
def test_random_chain_passes_the_independent_check(seed):
    rng = random.Random(seed)
    first = tensor("in", rng.choice([16, 500]))
    known, lows = random_segment(rng, [first], rng.randrange(2, 9))
    handoff = rng.choice(known)
    stem = ([first], [known[-1], handoff], lows)
    twin = Tensor("twin", handoff.shape, DType.INT8, QUANT)
    known, lows = random_segment(rng, [twin], rng.randrange(2, 9))
    program = program_of(stem, ([twin], [known[-1]], lows))
    plan = plan_memory(program)
    check_plan(program, plan)
    assert plan.lower_bound <= plan.arena_bytes
    assert plan.handoff_bytes == [handoff.nbytes]


def test_plan_is_deterministic():
    def once():
        rng = random.Random(5)
        known, lows = random_segment(rng, [tensor("in", 64)], 12)
        program = program_of(([lows[0].operator.inputs[0]], [known[-1]], lows))
        return [(b.nbytes, b.offset) for b in plan_memory(program).buffers]

    assert once() == once()


def chain(sizes, overlap):
    tensors = [tensor(f"t{i}", size) for i, size in enumerate(sizes)]
    lows = [
        lowered([a], b, overlap={0: overlap(a, b)} if overlap else None)
        for a, b in pairwise(tensors)
    ]
    return program_of(([tensors[0]], [tensors[-1]], lows))


def test_in_place_chain_needs_one_buffer():
    plan = plan_memory(chain([1024] * 6, lambda a, b: 0))
    assert plan.arena_bytes == 1024 == plan.lower_bound


def test_without_overlap_a_chain_needs_two_buffers():
    plan = plan_memory(chain([1024] * 6, None))
    assert plan.arena_bytes == 2048 == plan.lower_bound


def test_growing_output_uses_the_gap():
    plan = plan_memory(chain([256, 4096], lambda a, b: 4000))
    assert plan.arena_bytes == 4256 == plan.lower_bound


def test_a_live_input_is_not_overwritten_in_place():
    a, b, c = tensor("a", 512), tensor("b", 512), tensor("c", 512)
    lows = [lowered([a], b, overlap={0: 0}), lowered([a, b], c, overlap={0: 0, 1: 0})]
    plan = plan_memory(program_of(([a], [c], lows)))
    assert plan.arena_bytes == 1024


def test_one_tensor_read_twice_is_not_overwritten():
    a, b = tensor("a", 512), tensor("b", 512)
    plan = plan_memory(program_of(([a], [b], [lowered([a, a], b, overlap={0: 0})])))
    assert plan.arena_bytes == 1024


def bands(parts, promise=0):
    """x is read in parts, and y made of them part by part."""
    x, y, z = tensor("x", 512), tensor("y", 512), tensor("z", 16)
    size = 512 // parts
    lows, pieces = [], []
    for k in range(parts):
        source, piece = tensor(f"x{k}", size), tensor(f"y{k}", size)
        attrs = SliceAttrs((0, k * size), (1, size), (1, 1))
        lows.append(lowered([x], source, kind="SLICE"))
        lows[-1].operator.attrs = attrs
        lows.append(lowered([source], piece, overlap={0: promise}))
        pieces.append(piece)
    lows.append(lowered(pieces, y, kind="CONCATENATION"))
    lows[-1].operator.attrs = ConcatAttrs(1)
    lows.append(lowered([y], z))
    ops = [low.operator for low in lows]
    views = find_views(Graph("g", [x], [z], ops))
    for low in lows:
        if id(low.operator) in views.elided:
            low.chosen.steps.clear()
    return build_program([Graph("g", [x], [z], ops)], [lows], [views])


def test_an_image_written_in_bands_takes_the_place_of_the_one_it_is_made_of():
    program = bands(4)
    plan = plan_memory(program)
    check_plan(program, plan)
    assert plan.arena_bytes == 512 + 16 == plan.lower_bound


def test_bands_keep_the_distance_that_their_kernel_needs():
    program = bands(4, promise=40)
    plan = plan_memory(program)
    check_plan(program, plan)
    assert plan.arena_bytes == 512 + 48
    assert plan.lower_bound == 512 + 40


def test_checker_finds_a_band_over_rows_that_are_still_needed():
    program = bands(4)
    plan = plan_memory(program)
    damage(plan, "y", next(b for b in plan.buffers if b.name == "x").offset + 128)
    plan.arena_bytes += 128
    with pytest.raises(VerificationError):
        check_plan(program, plan)


def test_stem_head_memory_is_reused_by_the_tail():
    first, hand, head, exit_output = (
        tensor("in", 16),
        tensor("hand", 512),
        tensor("head", 2048),
        tensor("exit", 16),
    )
    stem = (
        [first],
        [exit_output, hand],
        [lowered([first], hand), lowered([hand], head), lowered([head], exit_output)],
    )
    twin, deep, final = tensor("twin", 512), tensor("deep", 2048), tensor("final", 16)
    tail = ([twin], [final], [lowered([twin], deep), lowered([deep], final)])
    plan = plan_memory(program_of(stem, tail))
    assert plan.arena_bytes <= 512 + 2048 + 16


def test_mismatched_handoff_is_refused():
    a, b = tensor("a", 16), tensor("b", 16)
    wrong, c = tensor("wrong", 32), tensor("c", 16)
    with pytest.raises(InputError, match="does not match"):
        program_of(([a], [b, b], [lowered([a], b)]), ([wrong], [c], [lowered([wrong], c)]))


def damage(plan, name, offset):
    next(b for b in plan.buffers if b.name == name).offset = offset


def test_checker_finds_a_damaged_plan():
    program = chain([512, 512, 512], None)
    plan = plan_memory(program)
    check_plan(program, plan)
    offset = {b.name: b.offset for b in plan.buffers}
    damage(plan, "t1", offset["t0"])
    with pytest.raises(VerificationError):
        check_plan(program, plan)


def test_checker_finds_a_buffer_outside_the_arena():
    program = chain([512, 512], None)
    plan = plan_memory(program)
    damage(plan, "t1", plan.arena_bytes - ALIGNMENT)
    with pytest.raises(VerificationError, match="outside"):
        check_plan(program, plan)


def test_checker_finds_an_overlap_with_too_small_a_gap():
    program = chain([256, 1024], lambda a, b: 900)
    plan = plan_memory(program)
    check_plan(program, plan)
    source = next(b for b in plan.buffers if b.name == "t0")
    source.offset -= ALIGNMENT * 4
    with pytest.raises(VerificationError, match="does not allow"):
        check_plan(program, plan)
