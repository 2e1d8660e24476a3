using System.Runtime.CompilerServices;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A matmul with few rows of x (decode): the weights stream from memory once and are widened in registers.</summary>
/// <param name="problem">The matmul, of at most <see cref="MaxDotRows"/> rows.</param>
/// <param name="panelsPerPart">Consecutive panels of one part.</param>
internal readonly unsafe struct MatMulDotJob<TLanes, TVector>(MatMulProblem problem, int panelsPerPart) : ITeamJob
    where TLanes : IMatMulLanes<TVector>
    where TVector : unmanaged
{
    private readonly MatMulProblem _problem = problem;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public void Run(int part)
    {
        MatMulRow* weights = stackalloc MatMulRow[PanelRows];
        TVector* accumulators = stackalloc TVector[MaxDotRows * PanelRows];
        int end = Math.Min((part + 1) * panelsPerPart, _problem.Panels);
        for (int panel = part * panelsPerPart; panel < end; panel++)
        {
            _problem.FindPanel(panel, weights);
            new Span<TVector>(accumulators, _problem.Rows * PanelRows).Clear();
            for (int i = 0; i < PanelRows; i += DotRows) Dot(weights + i, accumulators + i);
            _problem.Finish<TLanes, TVector>(accumulators, 0, _problem.Rows, panel);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Dot(MatMulRow* weights, TVector* accumulators)
    {
        MatMulFormat* format = weights->Format;
        if (weights[1].Format == format && weights[2].Format == format && weights[3].Format == format)
        {
            DotSameFormat(weights, accumulators);
            return;
        }
        // Rows of different parts: one after another, each in all four places of the loop.
        MatMulRow* same = stackalloc MatMulRow[DotRows];
        TVector* sums = stackalloc TVector[MaxDotRows * PanelRows];
        for (int i = 0; i < DotRows; i++)
        {
            new Span<MatMulRow>(same, DotRows).Fill(weights[i]);
            new Span<TVector>(sums, _problem.Rows * PanelRows).Clear();
            DotSameFormat(same, sums);
            for (int row = 0; row < _problem.Rows; row++) accumulators[(row * PanelRows) + i] = sums[row * PanelRows];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void DotSameFormat(MatMulRow* weights, TVector* accumulators)
    {
        MatMulFormat* format = weights->Format;
        int blocks = _problem.BlockedLength / format->BlockLength;
        DotBlocks(weights, blocks, _problem.X, (nint)_problem.XStride, accumulators);
        if (_problem.TailLength == 0) return;

        byte* tails = stackalloc byte[DotRows * MatMulTail.Bytes];
        MatMulRow* tailRows = stackalloc MatMulRow[DotRows];
        for (int i = 0; i < DotRows; i++)
        {
            tailRows[i] = new MatMulRow { Data = tails + (i * MatMulTail.Bytes), Format = format };
            MatMulTail.CopyWeights(in *format, weights[i].Data + ((long)blocks * format->BlockBytes), _problem.TailLength, tailRows[i].Data);
        }
        DotBlocks(tailRows, 1, _problem.XTails, MatMulTail.Length, accumulators);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void DotBlocks(MatMulRow* weights, int blocks, float* x, nint xStride, TVector* accumulators)
    {
        MatMulFormat* format = weights->Format;
        for (int row = 0; row < _problem.Rows;)
        {
            int rows = format->DotTile == null ? 1 : Math.Min(_problem.Rows - row, DotTileRows);
            if (rows == 1) format->Dot(weights, blocks, x + (row * xStride), accumulators + (row * PanelRows));
            else format->DotTile(weights, blocks, x + (row * xStride), xStride, rows, accumulators + (row * PanelRows));
            row += rows;
        }
    }
}
