using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// A matmul with several rows of x (prefill). A task is a block of x's rows, small enough for the second-level cache, times some
/// panels of weight rows. A panel is decoded a stretch of its columns at a time into the first-level cache and multiplied with the whole block;
/// between stretches the accumulators wait in memory, unreduced, so that each sums its row in ascending order.
/// </summary>
/// <param name="problem">The matmul.</param>
/// <param name="rowsPerTask">Rows of x of a block.</param>
/// <param name="panelsPerTask">Consecutive panels of a task.</param>
/// <param name="nextTask">Number of the next task to claim.</param>
/// <param name="scratch">For each part <see cref="MatMulShape.ScratchBytes"/>, aligned to cache lines.</param>
/// <remarks>Parts are threads, which claim tasks: the scratch belongs to the part.</remarks>
internal readonly unsafe struct MatMulTileJob<TLanes, TVector>(
    MatMulProblem problem, int rowsPerTask, int panelsPerTask, int* nextTask, byte* scratch) : ITeamJob
    where TLanes : IMatMulLanes<TVector>
    where TVector : unmanaged
{
    private readonly MatMulProblem _problem = problem;

    private int PanelTasks => (_problem.Panels + panelsPerTask - 1) / panelsPerTask;

    public int Tasks => PanelTasks * ((_problem.Rows + rowsPerTask - 1) / rowsPerTask);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(int part)
    {
        byte* panelScratch = scratch + ((long)part * ScratchBytes);
        int panelTasks = PanelTasks;
        int tasks = Tasks;
        for (int task = Interlocked.Increment(ref *nextTask) - 1; task < tasks; task = Interlocked.Increment(ref *nextTask) - 1)
        {
            int firstRow = task / panelTasks * rowsPerTask;
            int rows = Math.Min(rowsPerTask, _problem.Rows - firstRow);
            int firstPanel = task % panelTasks * panelsPerTask;
            int endPanel = Math.Min(firstPanel + panelsPerTask, _problem.Panels);
            for (int panel = firstPanel; panel < endPanel; panel++)
                MultiplyPanel(panel, firstRow, rows, (float*)panelScratch, (TVector*)(panelScratch + PanelBytes));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private void MultiplyPanel(int panel, int firstRow, int rows, float* decoded, TVector* accumulators)
    {
        MatMulRow* weights = stackalloc MatMulRow[PanelRows];
        _problem.FindPanel(panel, weights);
        NativeMemory.Clear(accumulators, (nuint)(rows * PanelRows * sizeof(TVector)));

        float* x = _problem.X + (firstRow * _problem.XStride);
        for (int start = 0; start < _problem.BlockedLength; start += PanelLength)
        {
            int length = Math.Min(PanelLength, _problem.BlockedLength - start);
            for (int i = 0; i < PanelRows; i++)
            {
                MatMulFormat* format = weights[i].Format;
                nint offset = start / format->BlockLength * (nint)format->BlockBytes;
                int blocks = length / format->BlockLength;
                format->Decode(weights[i].Data + offset, blocks, decoded + (i * PanelStride));
                MatMulRow.Fetch(weights[i].Data + offset + (_problem.Epilogue.PanelColumns * weights[i].RowBytes), (nint)blocks * format->BlockBytes);
            }
            MultiplyDecoded(decoded, length, x + start, (nint)_problem.XStride, rows, accumulators);
        }
        if (_problem.TailLength != 0)
        {
            for (int i = 0; i < PanelRows; i++)
            {
                MatMulFormat* format = weights[i].Format;
                byte* tail = weights[i].Data + (_problem.BlockedLength / format->BlockLength * (long)format->BlockBytes);
                MatMulTail.DecodeWeights(in *format, tail, _problem.TailLength, decoded + (i * PanelStride));
            }
            MultiplyDecoded(
                decoded, MatMulTail.Length, _problem.XTails + ((long)firstRow * MatMulTail.Length), MatMulTail.Length, rows, accumulators);
        }

        _problem.Finish<TLanes, TVector>(accumulators, firstRow, rows, panel);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyDecoded(float* decoded, int length, float* x, nint xStride, int rows, TVector* accumulators)
    {
        int row = 0;
        for (; row + TileRows <= rows; row += TileRows, x += TileRows * xStride)
            MatMulTileKernel<TLanes, TVector>.TilePanel(decoded, length, x, xStride, accumulators + (row * PanelRows));
        for (; row < rows; row++, x += xStride)
            MatMulTileKernel<TLanes, TVector>.RowPanel(decoded, length, x, accumulators + (row * PanelRows));
    }
}
