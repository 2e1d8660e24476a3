using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Decart.Inference.Memory;

/// <summary>
/// Asks the processor to bring memory near that will be used soon. A hint: nothing is read, so it does no harm when the garbage collector has moved the
/// object meanwhile, and nothing happens where a processor's hint is not within reach.
/// </summary>
internal static unsafe class Prefetch
{
    private const int LineBytes = 64;

    /// <summary>The first 128 bytes of an object.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Object(object? target)
    {
        if (!Sse.IsSupported) return;
        byte* address = (byte*)Unsafe.As<object?, nint>(ref target);
        Sse.Prefetch0(address);
        Sse.Prefetch0(address + LineBytes);
    }

    /// <summary>The line that an array's length lies in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Start(int[] array)
    {
        if (Sse.IsSupported) Sse.Prefetch0((byte*)Unsafe.As<int[], nint>(ref array));
    }

    /// <summary>The lines of an element of an array, at most 64 bytes. Nothing is checked: the index may be beyond the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Element<T>(T[] array, int index)
        where T : unmanaged
    {
        if (!Sse.IsSupported) return;
        byte* address = (byte*)Unsafe.As<T[], nint>(ref array) + (2 * sizeof(nint)) + ((nint)index * sizeof(T));
        Sse.Prefetch0(address);
        if (sizeof(T) > sizeof(long)) Sse.Prefetch0(address + sizeof(T) - 1); // it may lie on two lines
    }
}
