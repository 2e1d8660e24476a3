using System.Numerics;
using System.Runtime.InteropServices;
using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The masks of the latest steps on the device. Those of a step that are not there yet are sent together, in one copy: copies of single masks would wait for one
/// another, and with them the host for the device. What is sent follows the kernels that read what was there before, on the same stream.
/// </summary>
internal sealed class GpuMasks : IDisposable
{
    /// <summary>There are places for the masks of so many steps.</summary>
    private const int Steps = 4;

    private readonly IGpuDevice _device;
    private readonly GpuBuffer _buffer;
    private readonly Dictionary<TokenMask, int> _places = [];
    private TokenMask?[] _held = []; // by place
    private uint[] _new = [];
    private int _words, _first, _next, _rows;

    public GpuMasks(IGpuDevice device)
    {
        _device = device;
        _buffer = new GpuBuffer(device.Memory);
    }

    /// <summary>How many masks have been sent.</summary>
    public long Sent { get; private set; }

    /// <summary>Begins a step.</summary>
    /// <param name="rows">Masks that it has at the most.</param>
    /// <param name="vocabularySize">Tokens of each.</param>
    /// <exception cref="OutOfMemoryException">There is no memory for them.</exception>
    public void Begin(int rows, int vocabularySize)
    {
        // What a step that failed has not sent is not there.
        for (; _next > _first; _next--) Forget(_next - 1);
        int words = TokenMask.WordCount(vocabularySize);
        if (rows * Steps > _held.Length || words != _words) Reserve((int)BitOperations.RoundUpToPowerOf2((uint)rows) * Steps, words);
        if (_next + rows > _held.Length) _next = 0;
        if (_new.Length < rows * words) _new = new uint[rows * words];
        (_first, _rows) = (_next, rows);
    }

    /// <summary>Where a mask is, or will be when the step's are sent.</summary>
    /// <exception cref="ArgumentException">The mask is for another vocabulary.</exception>
    public nint AddressOf(TokenMask mask)
    {
        if (mask.Words.Length != _words) throw new ArgumentException($"A mask of {mask.Words.Length} words is not for a vocabulary with masks of {_words}.", nameof(mask));
        bool isThere = _places.TryGetValue(mask, out int place) && (place < _next || place >= _first + _rows);
        if (!isThere)
        {
            place = _next++;
            Forget(place);
            _held[place] = mask;
            _places[mask] = place;
            mask.Words.CopyTo(_new.AsSpan((place - _first) * _words));
        }
        return _buffer.Address + (nint)((long)place * _words * sizeof(uint));
    }

    /// <summary>Sends the step's new masks.</summary>
    public void Send()
    {
        int count = _next - _first;
        if (count == 0) return;
        _device.Upload(_buffer.Address + (nint)((long)_first * _words * sizeof(uint)), MemoryMarshal.AsBytes(_new.AsSpan(0, count * _words)));
        Sent += count;
        _first = _next;
    }

    public void Dispose() => _buffer.Dispose();

    private void Reserve(int places, int words)
    {
        _places.Clear();
        _held = [];
        _new = [];
        (_words, _first, _next) = (words, 0, 0);
        _buffer.Reserve((long)places * words * sizeof(uint));
        _held = new TokenMask?[places];
    }

    private void Forget(int place)
    {
        if (_held[place] is { } mask && _places[mask] == place) _places.Remove(mask);
        _held[place] = null;
    }
}
