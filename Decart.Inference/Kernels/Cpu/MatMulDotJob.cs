using System.Runtime.CompilerServices;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A matmul with very few rows of x (decode): the weights stream from memory once and are widened in registers.</summary>
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
        byte** rows = stackalloc byte*[PanelRows];
        MatMulFormat** formats = stackalloc MatMulFormat*[PanelRows];
        TVector* accumulators = stackalloc TVector[PanelRows];
        int end = Math.Min((part + 1) * panelsPerPart, _problem.Panels);
        for (int panel = part * panelsPerPart; panel < end; panel++)
        {
            _problem.FindPanel(panel, rows, formats);
            for (int row = 0; row < _problem.Rows; row++)
            {
                new Span<TVector>(accumulators, PanelRows).Clear();
                for (int i = 0; i < PanelRows; i += DotRows) Dot(rows + i, formats + i, row, accumulators + i);
                _problem.Finish<TLanes, TVector>(accumulators, row, panel);
            }
        }
    }

    private void Dot(byte** rows, MatMulFormat** formats, int row, TVector* accumulators)
    {
        if (formats[0] == formats[DotRows - 1])
        {
            Dot(rows, formats[0], row, accumulators);
            return;
        }
        // Rows of two parts: one after another, each in all four places of the loop.
        byte** same = stackalloc byte*[DotRows];
        TVector* sums = stackalloc TVector[DotRows];
        for (int i = 0; i < DotRows; i++)
        {
            new Span<nint>(same, DotRows).Fill((nint)rows[i]);
            new Span<TVector>(sums, DotRows).Clear();
            Dot(same, formats[i], row, sums);
            accumulators[i] = sums[0];
        }
    }

    private void Dot(byte** rows, MatMulFormat* format, int row, TVector* accumulators)
    {
        int blocks = _problem.BlockedLength / format->BlockLength;
        format->Dot(rows, blocks, _problem.X + (row * _problem.XStride), accumulators);
        if (_problem.TailLength == 0) return;

        byte* tails = stackalloc byte[DotRows * MatMulTail.Bytes];
        byte** tailRows = stackalloc byte*[DotRows];
        for (int i = 0; i < DotRows; i++)
        {
            tailRows[i] = tails + (i * MatMulTail.Bytes);
            MatMulTail.CopyWeights(in *format, rows[i] + ((long)blocks * format->BlockBytes), _problem.TailLength, tailRows[i]);
        }
        format->Dot(tailRows, 1, _problem.XTails + ((long)row * MatMulTail.Length), accumulators);
    }
}
