using System.Runtime.CompilerServices;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A matmul with one row of x (decode): the weights stream from memory once and are widened in registers.</summary>
/// <param name="problem">The matmul.</param>
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
        TVector* accumulators = stackalloc TVector[PanelRows];
        int end = Math.Min((part + 1) * panelsPerPart, _problem.Panels);
        for (int panel = part * panelsPerPart; panel < end; panel++)
        {
            _problem.FindPanel(panel, weights);
            new Span<TVector>(accumulators, PanelRows).Clear();
            for (int i = 0; i < PanelRows; i += DotRows) Dot(weights + i, accumulators + i);
            _problem.Finish<TLanes, TVector>(accumulators, 0, 1, panel);
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
        // Rows of two parts: one after another, each in all four places of the loop.
        MatMulRow* same = stackalloc MatMulRow[DotRows];
        TVector* sums = stackalloc TVector[DotRows];
        for (int i = 0; i < DotRows; i++)
        {
            new Span<MatMulRow>(same, DotRows).Fill(weights[i]);
            new Span<TVector>(sums, DotRows).Clear();
            DotSameFormat(same, sums);
            accumulators[i] = sums[0];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void DotSameFormat(MatMulRow* weights, TVector* accumulators)
    {
        MatMulFormat* format = weights->Format;
        int blocks = _problem.BlockedLength / format->BlockLength;
        format->Dot(weights, blocks, _problem.X, accumulators);
        if (_problem.TailLength == 0) return;

        byte* tails = stackalloc byte[DotRows * MatMulTail.Bytes];
        MatMulRow* tailRows = stackalloc MatMulRow[DotRows];
        for (int i = 0; i < DotRows; i++)
        {
            tailRows[i].Data = tails + (i * MatMulTail.Bytes);
            MatMulTail.CopyWeights(in *format, weights[i].Data + ((long)blocks * format->BlockBytes), _problem.TailLength, tailRows[i].Data);
        }
        format->Dot(tailRows, 1, _problem.XTails, accumulators);
    }
}
