using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Normalises and rotates the query and key heads of a share of the batch's rows and copies keys and values, which lie side by
/// side in a row as in a token of the sequence, to that token.
/// </summary>
internal readonly unsafe struct RotaryStoreJob(
    CpuActivations qkv, int layer, AttentionShape shape, KvLayout layout, CpuRotaryTable? table, Norm? queryNorm, Norm? keyNorm, CpuStep step, int parts, SimdWidth width)
    : ITeamJob
{
    private readonly float* _qkv = qkv.Pointer;
    private readonly nint* _tokens = step.Tokens;
    private readonly float* _cosines = table is null ? null : table.Cosines;
    private readonly float* _sines = table is null ? null : table.Sines;
    private readonly CpuNorm _queryNorm = queryNorm is null ? default : new(queryNorm);
    private readonly CpuNorm _keyNorm = keyNorm is null ? default : new(keyNorm);
    private readonly bool _hasQueryNorm = queryNorm is not null, _hasKeyNorm = keyNorm is not null, _interleaved = table is { Interleaved: true };
    private readonly int _stride = qkv.Stride, _rows = step.Batch.TokenCount, _heads = shape.Heads, _kvHeads = shape.KvHeads, _headDim = shape.HeadDim;
    private readonly int _pairs = table?.Pairs ?? 0;

    public void Run(int part)
    {
        switch (width)
        {
            case SimdWidth.Vector512: Run<Float32x16>(part); break;
            case SimdWidth.Vector256: Run<Float32x8>(part); break;
            case SimdWidth.Vector128: Run<Float32x4>(part); break;
            default: Run<Float32x1>(part); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run<TLanes>(int part)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        long end = (long)_rows * (part + 1) / parts;
        for (long row = (long)_rows * part / parts; row < end; row++)
        {
            float* heads = _qkv + (row * _stride);
            for (int head = 0; head < _heads + _kvHeads; head++)
            {
                float* x = heads + ((long)head * _headDim);
                bool isQuery = head < _heads;
                if (isQuery ? _hasQueryNorm : _hasKeyNorm) (isQuery ? _queryNorm : _keyNorm).Apply<TLanes>(x, _headDim, add: false, x);
                if (_interleaved) RotateNeighbours(x, _cosines + (row * _pairs), _sines + (row * _pairs));
                else RotateHalves<TLanes>(x, _cosines + (row * _pairs), _sines + (row * _pairs));
            }
            Store(heads + ((long)_heads * _headDim), (byte*)_tokens[row]);
        }
    }

    /// <summary>Stores the heads of a row's keys and values.</summary>
    private void Store(float* heads, byte* token)
    {
        byte* destination = token + layout.LayerOffset(layer);
        if (!layout.HasCodes)
        {
            Buffer.MemoryCopy(heads, destination, layout.LayerBytes, layout.LayerBytes);
            return;
        }
        ushort* scales = (ushort*)(token + layout.ScaleOffset(layer));
        for (int head = 0; head < 2 * _kvHeads; head++)
        {
            ushort* scale = head < _kvHeads ? scales + (2 * head) : scales + (2 * (head - _kvHeads)) + 1;
            CpuKvCodes.Store(new ReadOnlySpan<float>(heads + ((long)head * _headDim), _headDim), destination + ((long)head * layout.HeadBytes), scale);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RotateHalves<TLanes>(float* x, float* cosines, float* sines)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        int i = 0;
        for (; i <= _pairs - TLanes.Count; i += TLanes.Count)
        {
            TLanes a = TLanes.Load(x + i), b = TLanes.Load(x + _pairs + i), cosine = TLanes.Load(cosines + i), sine = TLanes.Load(sines + i);
            ((a * cosine) - (b * sine)).Store(x + i);
            ((b * cosine) + (a * sine)).Store(x + _pairs + i);
        }
        for (; i < _pairs; i++)
        {
            (x[i], x[_pairs + i]) = ((x[i] * cosines[i]) - (x[_pairs + i] * sines[i]), (x[_pairs + i] * cosines[i]) + (x[i] * sines[i]));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RotateNeighbours(float* x, float* cosines, float* sines)
    {
        int i = 0;
        for (; i <= _pairs - 4; i += 4)
        {
            Vector128<float> cosine = Vector128.Load(cosines + i), sine = Vector128.Load(sines + i);
            RotateTwoPairs(x + (2 * i), Vector128.Shuffle(cosine, Vector128.Create(0, 0, 1, 1)), Vector128.Shuffle(sine, Vector128.Create(0, 0, 1, 1)));
            RotateTwoPairs(x + (2 * i) + 4, Vector128.Shuffle(cosine, Vector128.Create(2, 2, 3, 3)), Vector128.Shuffle(sine, Vector128.Create(2, 2, 3, 3)));
        }
        for (; i < _pairs; i++)
        {
            float a = x[2 * i], b = x[(2 * i) + 1];
            x[2 * i] = (a * cosines[i]) - (b * sines[i]);
            x[(2 * i) + 1] = (b * cosines[i]) + (a * sines[i]);
        }
    }

    /// <summary>(a, b) becomes (a cos - b sin, b cos + a sin).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void RotateTwoPairs(float* x, Vector128<float> cosine, Vector128<float> sine)
    {
        Vector128<float> pairs = Vector128.Load(x), swapped = Vector128.Shuffle(pairs, Vector128.Create(1, 0, 3, 2));
        ((pairs * cosine) + (swapped * (sine * Vector128.Create(-1f, 1f, -1f, 1f)))).Store(x);
    }
}
