using System.Numerics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A register of as many 32-bit integers as <typeparamref name="TFloats"/> has floats: what the bits of encoded weights are unpacked in.</summary>
internal unsafe interface IIntegerLanes<TSelf, TFloats> : IBitwiseOperators<TSelf, TSelf, TSelf>, IShiftOperators<TSelf, int, TSelf>, ISubtractionOperators<TSelf, TSelf, TSelf>
    where TSelf : unmanaged, IIntegerLanes<TSelf, TFloats>
    where TFloats : unmanaged, ILanes<TFloats>
{
    static abstract TSelf Create(int value);

    /// <summary>Widens as many bytes as there are lanes.</summary>
    static abstract TSelf Widen(byte* source);

    /// <inheritdoc cref="Widen(byte*)"/>
    static abstract TSelf Widen(sbyte* source);

    /// <summary>Widens as many 16-bit integers as there are lanes.</summary>
    static abstract TSelf Widen(short* source);

    /// <summary>Widens the lowest bytes, as many as there are lanes.</summary>
    static abstract TSelf Widen(ulong bytes);

    /// <summary>16 in lane i when bit <paramref name="start"/> + i is set, else 0.</summary>
    static abstract TSelf SpreadToBit4(uint bits, int start);

    /// <summary>Entry i of a table of 16 in each lane that holds i.</summary>
    static abstract TFloats LookUp(float* table, TSelf index);

    static abstract TFloats ToSingle(TSelf value);

    /// <summary>The floats that have these bits.</summary>
    static abstract TFloats AsSingle(TSelf bits);

    /// <summary>The bits of floats.</summary>
    static abstract TSelf BitsOf(TFloats value);
}
