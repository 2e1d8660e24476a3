using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Benchmarks;

/// <summary>What this machine can do at most, measured with the same threads as the kernels: the figures that theirs are shares of.</summary>
internal sealed unsafe class MachineCeilings : IDisposable
{
    private const int ReadParts = 64;
    private const long ReadBytes = 256L << 20;
    private const int MultiplyAddRounds = 500_000;

    /// <summary>Independent sums: enough to hide the latency of an addition or of a fused multiply-add.</summary>
    private const int Chains = 12;

    private readonly ThreadTeam _team;
    private readonly byte* _buffer;

    public MachineCeilings(ThreadTeam team)
    {
        _team = team;
        _buffer = (byte*)NativeMemory.AlignedAlloc((nuint)ReadBytes, 4096);
        new Span<byte>(_buffer, (int)ReadBytes).Fill(1);
    }

    /// <summary>Bytes a second that all threads together read from memory, sequentially, from a buffer larger than any cache.</summary>
    public double MeasureRead()
    {
        long start = Stopwatch.GetTimestamp();
        _team.Run(new ReadJob(_buffer, ReadBytes / ReadParts), ReadParts);
        return ReadBytes / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Floating-point operations a second that all threads together reach with fused multiply-adds in registers.</summary>
    public double MeasureMultiplyAdd()
    {
        int lanes = Vector512.IsHardwareAccelerated ? Vector512<float>.Count : Vector256<float>.Count;
        long start = Stopwatch.GetTimestamp();
        _team.Run(default(MultiplyAddJob), _team.Threads);
        return 2.0 * lanes * Chains * MultiplyAddRounds * _team.Threads / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public void Dispose() => NativeMemory.AlignedFree(_buffer);

    private readonly struct ReadJob(byte* buffer, long bytes) : ITeamJob
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(int part)
        {
            byte* start = buffer + (part * bytes);
            var sum = Vector512<long>.Zero;
            for (byte* p = start; p < start + bytes; p += 4 * 64)
            {
                Vector512<long> first = Vector512.Load((long*)p) ^ Vector512.Load((long*)(p + 64));
                Vector512<long> second = Vector512.Load((long*)(p + 128)) ^ Vector512.Load((long*)(p + 192));
                sum ^= first ^ second;
            }
            Keep(sum[0]);
        }
    }

    private readonly struct MultiplyAddJob : ITeamJob
    {
        public void Run(int part)
        {
            if (Vector512.IsHardwareAccelerated) Loop512();
            else Loop256();
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Loop512()
        {
            Vector512<float> w = Vector512.Create(0.5f);
            Vector512<float> a0 = w, a1 = w, a2 = w, a3 = w, a4 = w, a5 = w, a6 = w, a7 = w, a8 = w, a9 = w, a10 = w, a11 = w;
            for (int i = 0; i < MultiplyAddRounds; i++)
            {
                a0 = Vector512.FusedMultiplyAdd(a0, w, w);
                a1 = Vector512.FusedMultiplyAdd(a1, w, w);
                a2 = Vector512.FusedMultiplyAdd(a2, w, w);
                a3 = Vector512.FusedMultiplyAdd(a3, w, w);
                a4 = Vector512.FusedMultiplyAdd(a4, w, w);
                a5 = Vector512.FusedMultiplyAdd(a5, w, w);
                a6 = Vector512.FusedMultiplyAdd(a6, w, w);
                a7 = Vector512.FusedMultiplyAdd(a7, w, w);
                a8 = Vector512.FusedMultiplyAdd(a8, w, w);
                a9 = Vector512.FusedMultiplyAdd(a9, w, w);
                a10 = Vector512.FusedMultiplyAdd(a10, w, w);
                a11 = Vector512.FusedMultiplyAdd(a11, w, w);
            }
            Keep((long)(a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11)[0]);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Loop256()
        {
            Vector256<float> w = Vector256.Create(0.5f);
            Vector256<float> a0 = w, a1 = w, a2 = w, a3 = w, a4 = w, a5 = w, a6 = w, a7 = w, a8 = w, a9 = w, a10 = w, a11 = w;
            for (int i = 0; i < MultiplyAddRounds; i++)
            {
                a0 = Vector256.FusedMultiplyAdd(a0, w, w);
                a1 = Vector256.FusedMultiplyAdd(a1, w, w);
                a2 = Vector256.FusedMultiplyAdd(a2, w, w);
                a3 = Vector256.FusedMultiplyAdd(a3, w, w);
                a4 = Vector256.FusedMultiplyAdd(a4, w, w);
                a5 = Vector256.FusedMultiplyAdd(a5, w, w);
                a6 = Vector256.FusedMultiplyAdd(a6, w, w);
                a7 = Vector256.FusedMultiplyAdd(a7, w, w);
                a8 = Vector256.FusedMultiplyAdd(a8, w, w);
                a9 = Vector256.FusedMultiplyAdd(a9, w, w);
                a10 = Vector256.FusedMultiplyAdd(a10, w, w);
                a11 = Vector256.FusedMultiplyAdd(a11, w, w);
            }
            Keep((long)(a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11)[0]);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Keep(long value) => _ = value;
}
