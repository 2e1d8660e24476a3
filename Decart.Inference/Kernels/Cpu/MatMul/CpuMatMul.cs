using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// y = epilogue(x W^T) with float32 activations and weights in any supported encoding. Each output has one vector accumulator to
/// whose lanes its row's products are added in ascending order, so results do not depend, bit for bit, on the other rows of
/// x, on the number of threads or on the loop that computed them (they do depend on the width of the machine's vectors).
/// </summary>
/// <remarks>Called by one thread at a time; allocates only when it meets more rows than ever before.</remarks>
internal sealed unsafe class CpuMatMul : IDisposable
{
    /// <summary>Weight elements of a part, at least: handing out less would take about as long as doing it.</summary>
    private const long MinElementsPerPart = 16 * 1024;

    private const int PartsPerThread = 8;

    /// <summary>Panels of one task, at most, so that the last tasks do not keep one thread busy alone.</summary>
    private const int MaxPanelsPerTask = 32;

    /// <summary>Bytes of a block of x: they leave room for weights and accumulators in a second-level cache of 1 MB.</summary>
    private const int BlockBytes = 512 * 1024;

    private const int CacheLine = 64;

    private readonly ThreadTeam _team;
    private readonly SimdWidth _width;
    private readonly MatMulFormat[] _formats;
    private readonly byte* _scratch;
    private readonly CpuBuffer<float> _ordered = new(0);
    private float* _tails;
    private int _tailRows;

    /// <summary>Prepares the scratch memory of each thread.</summary>
    /// <param name="team">The threads; stays the caller's.</param>
    /// <param name="width">The width of the accumulators; the machine's own when null.</param>
    public CpuMatMul(ThreadTeam team, SimdWidth? width = null)
    {
        _team = team;
        _width = width ?? SimdWidths.Machine;
        _formats = MatMulFormats.CreateTable(_width);
        _scratch = (byte*)NativeMemory.AlignedAlloc((nuint)(team.Threads * MatMulShape.ScratchBytes), CacheLine);
    }

    /// <summary>Computes y = epilogue(x W^T).</summary>
    /// <param name="x">Row-major [<paramref name="rows"/>, the weight's columns].</param>
    /// <param name="xStride">Elements from one row of x to the next.</param>
    /// <param name="rows">Rows of x and y.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="epilogue">What happens before the store. Its bias is taken from <paramref name="bias"/>.</param>
    /// <param name="bias">As many values as the weight has rows; null without a bias.</param>
    /// <param name="y">Row-major [<paramref name="rows"/>, the weight's rows, or half of them when gated]; must not overlap x.</param>
    /// <param name="yStride">Elements from one row of y to the next.</param>
    public void Multiply(float* x, int xStride, int rows, CpuWeight weight, in Epilogue epilogue, float* bias, float* y, int yStride)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        if (rows == 0) return;
        ArgumentOutOfRangeException.ThrowIfLessThan(xStride, weight.Columns);
        if (epilogue.Gated && weight.Rows % 2 != 0)
            throw new ArgumentException($"A gated weight has as many gates as ups, this one {weight.Rows} rows.", nameof(weight));
        int columns = epilogue.Gated ? weight.Rows / 2 : weight.Rows;
        ArgumentOutOfRangeException.ThrowIfLessThan(yStride, columns);
        if (!weight.ColumnOrder.IsDefault)
        {
            x = Reorder(x, xStride, rows, weight);
            xStride = weight.Columns;
        }
        var problem = new MatMulProblem
        {
            X = x,
            XStride = xStride,
            Rows = rows,
            Parts = weight.Parts,
            Formats = (MatMulFormat*)Marshal.UnsafeAddrOfPinnedArrayElement(_formats, 0),
            Length = weight.Columns,
            Epilogue = new MatMulEpilogue
            {
                Bias = bias,
                Function = epilogue.Function,
                Gated = epilogue.Gated,
                SoftCap = epilogue.SoftCap,
                Accumulate = epilogue.Accumulate,
                Y = y,
                YStride = yStride,
                Columns = columns,
            },
        };
        if (problem.TailLength != 0) problem.XTails = CopyTails(in problem);
        switch (_width)
        {
            case SimdWidth.Vector512:
                Run<Lanes512, Vector512<float>>(in problem);
                break;
            case SimdWidth.Vector256:
                Run<Lanes256, Vector256<float>>(in problem);
                break;
            case SimdWidth.Vector128:
                Run<Lanes128, Vector128<float>>(in problem);
                break;
            default:
                Run<Lanes1, float>(in problem);
                break;
        }
        GC.KeepAlive(weight);
    }

    public void Dispose()
    {
        _ordered.Dispose();
        NativeMemory.AlignedFree(_scratch);
        NativeMemory.AlignedFree(_tails);
    }

    private static long Elements(in MatMulProblem problem) => (long)MatMulShape.PanelRows * problem.Panels * problem.Length;

    /// <summary>Rows of x up to which the weights are better widened in registers than decoded into the cache.</summary>
    private static int MaxDotRows(in MatMulProblem problem)
    {
        CpuWeightPart* part = problem.Parts;
        for (int row = 0; row < problem.WeightRows; row += part++->Rows)
        {
            if (problem.Formats[(int)part->Type].DotTile == null) return 1;
        }
        return MatMulShape.MaxDotRows;
    }

    private void Run<TLanes, TVector>(in MatMulProblem problem)
        where TLanes : IMatMulLanes<TVector>
        where TVector : unmanaged
    {
        if (problem.Rows <= MaxDotRows(in problem)) RunDot<TLanes, TVector>(in problem);
        else RunTiles<TLanes, TVector>(in problem);
    }

    private void RunDot<TLanes, TVector>(in MatMulProblem problem)
        where TLanes : IMatMulLanes<TVector>
        where TVector : unmanaged
    {
        long wanted = Math.Clamp(Elements(in problem) / MinElementsPerPart, 1, _team.Threads * PartsPerThread);
        int panelsPerPart = (int)((problem.Panels + wanted - 1) / wanted);
        int parts = (problem.Panels + panelsPerPart - 1) / panelsPerPart;
        _team.Run(new MatMulDotJob<TLanes, TVector>(problem, panelsPerPart), parts);
    }

    private void RunTiles<TLanes, TVector>(in MatMulProblem problem)
        where TLanes : IMatMulLanes<TVector>
        where TVector : unmanaged
    {
        int rowsPerTask = Math.Clamp(BlockBytes / sizeof(float) / problem.Length, MatMulShape.BlockRows / 4, MatMulShape.BlockRows);
        rowsPerTask -= rowsPerTask % MatMulShape.TileRows;
        int blocks = (problem.Rows + rowsPerTask - 1) / rowsPerTask;
        int panelsPerTask = Math.Clamp((int)((long)problem.Panels * blocks / (_team.Threads * PartsPerThread)), 1, MaxPanelsPerTask);
        int nextTask = 0;
        var job = new MatMulTileJob<TLanes, TVector>(problem, rowsPerTask, panelsPerTask, &nextTask, _scratch);
        int parts = Elements(in problem) < MinElementsPerPart ? 1 : Math.Min(_team.Threads, job.Tasks);
        _team.Run(in job, parts);
    }

    /// <summary>The rows of x with their elements in the order of the weight's.</summary>
    private float* Reorder(float* x, int xStride, int rows, CpuWeight weight)
    {
        _ordered.Reserve((long)rows * weight.Columns);
        for (long row = 0; row < rows; row++) ColumnOrders.Gather(weight.ColumnOrder, x + (row * xStride), _ordered.Pointer + (row * weight.Columns));
        return _ordered.Pointer;
    }

    private float* CopyTails(in MatMulProblem problem)
    {
        if (problem.Rows > _tailRows)
        {
            _tails = (float*)NativeMemory.AlignedRealloc(_tails, (nuint)problem.Rows * MatMulTail.Bytes, CacheLine);
            _tailRows = problem.Rows;
        }
        for (int row = 0; row < problem.Rows; row++)
            MatMulTail.CopyActivations(problem.X + (row * problem.XStride) + problem.BlockedLength, problem.TailLength, _tails + (row * MatMulTail.Length));
        return _tails;
    }
}
