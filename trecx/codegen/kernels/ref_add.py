"""ADD by the reference kernels: equal shapes, broadcast shapes, a constant operand."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.geometry import broadcast_strides, extend_to, join_dimensions
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator, Tensor
from trecx.ir.quantize import activation_range, add_params

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_OUTPUT = 92


def scaling_fields(op: Operator, first: Tensor, second: Tensor) -> dict[str, object]:
    """Fields of `trecx_add_s8_scaling`, for the operands in the kernel's order."""
    p = add_params(first.quant, second.quant, op.output.quant)
    low, high = activation_range(op.attrs.activation, op.output.quant)
    values = {
        "input1_offset": -first.zero_point,
        "input1_multiplier": p.input1_multiplier,
        "input1_shift": p.input1_shift,
        "input2_offset": -second.zero_point,
        "input2_multiplier": p.input2_multiplier,
        "input2_shift": p.input2_shift,
        "output_offset": op.output.zero_point,
        "output_multiplier": p.output_multiplier,
        "output_shift": p.output_shift,
        "activation_min": low,
        "activation_max": high,
    }
    return {f"scaling.{name}": value for name, value in values.items()}


def _operands(op: Operator) -> tuple[Tensor, Tensor]:
    """The two inputs, a constant one second: the sum does not depend on their order."""
    first, second = op.inputs
    return (second, first) if first.is_constant else (first, second)


def _walk(op: Operator, first: Tensor, second: Tensor):
    shape = op.output.shape
    strides = [broadcast_strides(t.shape, len(shape)) for t in (first, second)]
    return join_dimensions(shape, strides)


@register
class RefAdd(KernelChoice):
    """Two activations of one shape."""

    kinds = ("ADD",)
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        if any(t.is_constant for t in op.inputs):
            return "an operand is constant"
        if any(t.shape != op.output.shape for t in op.inputs):
            return "the operands' shapes differ"
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        first, second = op.inputs
        return [
            Step(
                kernel="trecx_add_s8",
                sources=("ref/add_s8.c",),
                header="add_s8.h",
                params_type="trecx_add_s8_params",
                params={"count": op.output.size, **scaling_fields(op, first, second)},
                inputs=(first, second),
                outputs=(op.output,),
                overlap={0: 0, 1: 0},
                instructions=INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]


@register
class RefAddBroadcast(KernelChoice):
    """Operands of different shapes, or a constant operand."""

    kinds = ("ADD",)
    isa = Isa.REF
    scheme = "reference, broadcast"

    def reason_against(self, op: Operator) -> str | None:
        first, second = _operands(op)
        if not second.is_constant and first.shape == second.shape:
            return "the operands have the same shape"
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        first, second = _operands(op)
        dims, (stride1, stride2) = extend_to(4, *_walk(op, first, second))
        constant = second.is_constant
        params = {
            "dims": tuple(dims),
            "stride1": tuple(stride1),
            "stride2": tuple(stride2),
            **scaling_fields(op, first, second),
            "constant": Blob("int8_t", second.data.reshape(-1), align=1) if constant else None,
        }
        inputs = (first,) if constant else (first, second)
        whole = {i: 0 for i, t in enumerate(inputs) if t.size == op.output.size}
        return [
            Step(
                kernel="trecx_add_constant_s8" if constant else "trecx_add_broadcast_s8",
                sources=("ref/add_broadcast_s8.c", "ref/add_s8.c"),
                header="add_broadcast_s8.h",
                params_type="trecx_add_broadcast_s8_params",
                params=params,
                inputs=inputs,
                outputs=(op.output,),
                overlap=whole,
                instructions=INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]
