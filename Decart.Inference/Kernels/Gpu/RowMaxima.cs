using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The largest magnitudes of the rows of operands of halves, in the device's memory: whoever makes an operand raises them, so that <see cref="GpuCodeRound{TCodes}"/> need not look for them first. There are
/// some places; what rounds an operand clears the place of one that was rounded before. Used by the thread that launches.
/// </summary>
internal sealed class RowMaxima(IDeviceMemory memory) : IDisposable
{
    /// <summary>The most rows: with 64 nothing was gained, and matmuls that have a question more to ask took longer.</summary>
    public const int Rows = 32;

    /// <summary>For lanes that have no row.</summary>
    public const int NoRow = -1;

    private const int FourLanes = 4, SignlessBits = 0x7FFF, HalfBits = 16;

    /// <summary>Each maximum has a line of its own: the second-level cache takes one operation on a line after the other.</summary>
    private const int LineBytes = 128;

    /// <summary>Bytes of the maxima of an operand's rows.</summary>
    internal const int PlaceBytes = Rows * LineBytes;

    /// <summary>Enough for two operands that are made before either is rounded, one that was, and the next.</summary>
    private const int Places = 4;

    private readonly GpuBuffer _buffer = new(memory, Places * PlaceBytes);

    /// <summary>For each place whose maxima it has, the operand's address, or 0; and whether it is clear.</summary>
    private readonly nint[] _operands = new nint[Places];
    private readonly bool[] _clear = new bool[Places];

    /// <summary>Whether anything is rounded at all.</summary>
    private bool _wanted;

    /// <summary>Address of all places, for <see cref="ClearAll"/> at the beginning of a step; 0 as long as nothing was rounded.</summary>
    public nint Begin()
    {
        Array.Clear(_operands);
        Array.Fill(_clear, _wanted);
        return _wanted ? _buffer.Address : 0;
    }

    /// <summary>
    /// The place for an operand that is made now; 0 where there is none: for many rows, and in a step that none was cleared for. Steps begin with <see cref="Begin"/>: those that were recorded leave places as
    /// they are.
    /// </summary>
    /// <param name="operand">Its address.</param>
    /// <param name="rows">Rows that launches are sized for.</param>
    public nint Expect(nint operand, int rows)
    {
        Forget(operand);
        int place = rows <= Rows ? Array.IndexOf(_clear, true) : -1;
        if (place < 0) return 0;
        (_operands[place], _clear[place]) = (operand, false);
        return Address(place);
    }

    /// <summary>The places for an operand that is rounded now: its own, or 0 where it was not expected, and one that is to be cleared meanwhile, or 0.</summary>
    /// <param name="operand">Its address.</param>
    /// <param name="rows">Rows that the launch is sized for: more than places have clear none.</param>
    public (nint Own, nint Spent) Take(nint operand, int rows)
    {
        _wanted = true;
        if (rows > Rows) return default;
        int own = Array.IndexOf(_operands, operand), spent = 0;
        while (spent < Places && (_clear[spent] || _operands[spent] != 0)) spent++;
        if (spent < Places) _clear[spent] = true;
        if (own >= 0) _operands[own] = 0;
        return (own < 0 ? 0 : Address(own), spent < Places ? Address(spent) : 0);
    }

    /// <summary>What is launched now makes an operand and raises nothing.</summary>
    public void Forget(nint operand)
    {
        int place = Array.IndexOf(_operands, operand);
        if (place >= 0) _operands[place] = 0;
    }

    public void Dispose() => _buffer.Dispose();

    /// <summary>Clears all places, by the first group of a launch.</summary>
    public static void ClearAll(long places)
    {
        if (places == 0 || Grid.IdxX != 0 || Grid.IdxY != 0) return;
        for (int i = Group.IdxX; i < Places * Rows; i += Group.DimX) Global.StoreInt(places + (i * LineBytes), 0);
    }

    /// <summary>The larger magnitude of a pair of halves, as bits of a half.</summary>
    public static int Of(uint pair) => Math.Max((int)pair & SignlessBits, (int)(pair >> HalfBits) & SignlessBits);

    /// <summary>A row's maximum, as bits of a float32.</summary>
    public static int Load(long place, int row) => (int)Interop.FloatAsInt(Halves.Low((uint)Global.LoadInt(AddressOf(place, row))));

    /// <summary>Clears a row's maximum.</summary>
    public static void Clear(long place, int row) => Global.StoreInt(AddressOf(place, row), 0);

    /// <summary>Raises a row's by the values of four neighbouring lanes, which have the same row; all lanes of the warp call it.</summary>
    public static void RaiseByFour(long place, int row, int value)
    {
        value = Math.Max(value, Warp.ShuffleXor(value, 1));
        value = Math.Max(value, Warp.ShuffleXor(value, 2));
        if ((Warp.LaneIdx & (FourLanes - 1)) == 0 && row != NoRow) Global.Raise(AddressOf(place, row), value);
    }

    /// <summary>Raises a row's by the values of a warp.</summary>
    public static void RaiseByWarp(long place, int row, int value)
    {
        value = Reduce.WarpMax(value);
        if (Warp.LaneIdx == 0) Global.Raise(AddressOf(place, row), value);
    }

    /// <summary>Where a row's maximum is.</summary>
    internal static long AddressOf(long place, int row) => place + (row * LineBytes);

    private nint Address(int place) => _buffer.Address + (place * PlaceBytes);
}
