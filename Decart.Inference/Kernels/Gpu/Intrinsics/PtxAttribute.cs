using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// The PTX that a call of the method becomes; elsewhere its body runs. The method also needs <see cref="IntrinsicImplementationAttribute"/>, which
/// keeps ILGPU from compiling the body.
/// </summary>
/// <param name="template">
/// PTX text. <c>$r</c>: the result's register, or registers separated by commas. <c>$0</c> to <c>$9</c>: operands, in registers; a
/// struct's are separated by commas. <c>@0</c> to <c>@9</c>: operands that are references, as
/// addresses in shared memory. <c>#0</c> to <c>#9</c>: operands that must be compile-time constants. A line of its own may declare
/// registers in a block in braces.
/// </param>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PtxAttribute(string template) : Attribute
{
    public string Template { get; } = template;

    /// <summary>The oldest architecture that has the instruction, as in sm_80.</summary>
    public int MinArchitecture { get; init; } = 80;

    /// <summary>Whether older architectures need nothing in its place.</summary>
    public bool IsOptional { get; init; }

    /// <summary>
    /// Whether the instruction changes its first operand, whose registers become the result's: callers never use the operand's value again.
    /// </summary>
    public bool InPlace { get; init; }
}
