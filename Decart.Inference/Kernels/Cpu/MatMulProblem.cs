using System.Runtime.CompilerServices;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>One matmul, by addresses: what its jobs share.</summary>
internal unsafe struct MatMulProblem
{
    public float* X;

    public long XStride;

    /// <summary>Rows of x and y.</summary>
    public int Rows;

    /// <summary>For each row of x its last elements, padded to <see cref="MatMulTail.Length"/>; unused when whole blocks suffice.</summary>
    public float* XTails;

    public CpuWeightPart* Parts;

    /// <summary>Indexed by tensor type.</summary>
    public MatMulFormat* Formats;

    /// <summary>Elements of a row of x, and columns of the weight.</summary>
    public int Length;

    public MatMulEpilogue Epilogue;

    /// <summary>Elements of a row without its tail.</summary>
    public readonly int BlockedLength => Length & ~(MatMulTail.Length - 1);

    public readonly int TailLength => Length & (MatMulTail.Length - 1);

    /// <summary>Panels of <see cref="PanelRows"/> weight rows; the last may repeat rows that are not stored.</summary>
    public readonly int Panels => (Epilogue.Columns + Epilogue.PanelColumns - 1) / Epilogue.PanelColumns;

    /// <summary>Finds the weight rows of a panel: consecutive ones, or when gated four gates and their four ups.</summary>
    /// <param name="panel">0 up to <see cref="Panels"/>.</param>
    /// <param name="rows">Receives the addresses of <see cref="PanelRows"/> rows.</param>
    /// <param name="formats">Receives their formats.</param>
    public readonly void FindPanel(int panel, byte** rows, MatMulFormat** formats)
    {
        int first = panel * Epilogue.PanelColumns;
        int last = Epilogue.Columns - 1;
        for (int i = 0; i < PanelRows; i++)
        {
            int row = Epilogue.Gated && i >= PanelRows / 2
                ? Epilogue.Columns + Math.Min(first + i - (PanelRows / 2), last)
                : Math.Min(first + i, last);
            CpuWeightPart* part = Parts;
            while (row >= part->Rows) row -= part++->Rows;
            rows[i] = (byte*)part->Data + (row * part->RowBytes);
            formats[i] = Formats + (int)part->Type;
        }
    }

    /// <summary>Sums the lanes of a panel's accumulators for one row of x and hands them to the epilogue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Finish<TLanes, TVector>(TVector* accumulators, int row, int panel)
        where TLanes : IMatMulLanes<TVector>
        where TVector : unmanaged
    {
        float* sums = stackalloc float[PanelRows];
        for (int i = 0; i < PanelRows; i++) sums[i] = TLanes.Sum(accumulators[i]);
        Epilogue.Store(sums, row, panel * Epilogue.PanelColumns);
    }
}
