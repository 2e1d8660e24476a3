using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>An operand of codes of 8 bits, for a product with one weight.</summary>
/// <param name="Codes">Where its codes are; see <see cref="ByteTiles"/>.</param>
/// <param name="Scales">Where the scales of its rows are, float32.</param>
/// <param name="Plan">How the product is divided, which says how the codes lie.</param>
internal readonly record struct CodeOperand(nint Codes, nint Scales, GpuRingPlan Plan);
