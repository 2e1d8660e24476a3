using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A weight row of a panel.</summary>
internal unsafe struct MatMulRow
{
    private const int CacheLine = 64;

    public byte* Data;

    public MatMulFormat* Format;

    /// <summary>Distance to the row that follows.</summary>
    public nint RowBytes;

    /// <summary>
    /// Has the processor fetch memory into its caches: left to itself it fetches ahead within a page only, and a row is
    /// about a page. The memory need not exist.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fetch(byte* start, nint bytes)
    {
        if (!Sse.IsSupported) return;
        for (byte* line = start; line < start + bytes; line += CacheLine) Sse.Prefetch0(line);
    }
}

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

    public readonly int WeightRows => Epilogue.Gated ? 2 * Epilogue.Columns : Epilogue.Columns;

    /// <summary>Panels of <see cref="PanelRows"/> weight rows; the last may repeat rows that are not stored.</summary>
    public readonly int Panels => (Epilogue.Columns + Epilogue.PanelColumns - 1) / Epilogue.PanelColumns;

    /// <summary>Finds the weight rows of a panel: consecutive ones, or when gated four gates and their four ups.</summary>
    /// <param name="panel">0 up to <see cref="Panels"/>.</param>
    /// <param name="rows">Receives <see cref="PanelRows"/> rows.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void FindPanel(int panel, MatMulRow* rows)
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
            rows[i] = new MatMulRow
            {
                Data = (byte*)part->Data + (row * part->RowBytes),
                Format = Formats + (int)part->Type,
                RowBytes = (nint)part->RowBytes,
            };
        }
    }

    /// <summary>Sums the lanes of a panel's accumulators for some rows of x and hands the sums to the epilogue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Finish<TLanes, TVector>(TVector* accumulators, int firstRow, int rows, int panel)
        where TLanes : IMatMulLanes<TVector>
        where TVector : unmanaged
    {
        int column = panel * Epilogue.PanelColumns;
        for (int row = firstRow; row < firstRow + rows; row++, accumulators += PanelRows)
            Epilogue.Store(TLanes.Sum(accumulators), row, column);
    }
}
