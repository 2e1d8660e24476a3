using System.Diagnostics;
using Decart.Inference.Kernels;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Time of a decoder's steps on a device beside the time that reading what they must read would take: decode steps of batches of sequences
/// with a context, and a prefill. Weights are random, in the shape of a folder's config.json; keys and values are mapped page by page.
/// </summary>
internal sealed class DecoderSteps : IDisposable
{
    private const int Repetitions = 20;
    private const int SpareTokens = 32; // pages are not filled to the last byte

    private readonly IBackend _backend;
    private readonly Decoder _decoder;
    private readonly KvMemory _memory;
    private readonly float[] _logits;
    private readonly int _context;
    private readonly double _bandwidth;

    private DecoderSteps(string folder, Device device, int context, int largestBatch, int prefill)
    {
        DeviceChoice choice = DeviceChoice.Open(new() { Device = device }, NullLogger.Instance);
        _backend = choice.Backend;
        _context = context;
        _bandwidth = CopyBandwidth.Measure(_backend.Memory);
        long start = Stopwatch.GetTimestamp();
        RandomTensors source = new(folder, seed: 1);
        ModelConfig config = ModelLoader.ReadConfig(source);
        _decoder = Decoder.Load(source, config, _backend, Math.Max(prefill, largestBatch), largestBatch);
        _logits = new float[_decoder.VocabularySize];
        Console.WriteLine(FormattableString.Invariant(
            $"{choice.Device}, copy {_bandwidth / 1e12:F2} TB/s (read + write), weights made up and loaded in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s"));
        long tokens = Math.Max((long)largestBatch * (context + SpareTokens), prefill + SpareTokens);
        _memory = KvMemoryPlan.For(_backend.Memory, _decoder.KvLayout, Math.Max(context, prefill) + SpareTokens, largestBatch, tokens * _decoder.KvLayout.TokenBytes, PagingMode.Auto)
            .Create(_backend.Memory, prefixCaching: false, NullLogger.Instance);
    }

    /// <summary>Prints a table.</summary>
    /// <param name="arguments">The folder, and unless the defaults are right: device, context, batch sizes with commas between, prefill.</param>
    public static void Run(string[] arguments)
    {
        string folder = arguments[0];
        Device device = arguments.Length > 1 ? Device.Parse(arguments[1]) : Device.Auto;
        int context = arguments.Length > 2 ? int.Parse(arguments[2]) : 1024;
        int[] batches = [.. (arguments.Length > 3 ? arguments[3] : "1,16,64").Split(',').Select(int.Parse)];
        int prefill = arguments.Length > 4 ? int.Parse(arguments[4]) : 2048;
        using DecoderSteps steps = new(folder, device, context, batches.Max(), prefill);
        Console.WriteLine("| case | ms | share of the roofline |");
        Console.WriteLine("|---|---|---|");
        steps.Prefill(prefill);
        foreach (int batch in batches) steps.Decode(batch);
    }

    public void Dispose()
    {
        _memory.Dispose();
        _decoder.Dispose();
        _backend.Dispose();
    }

    /// <summary>Parameters that every token is multiplied by: all but the embedding.</summary>
    private double Parameters
    {
        get
        {
            ModelConfig config = _decoder.Config;
            double attention = (double)config.HiddenSize * config.HeadDim * ((2 * config.Heads) + (2 * config.KvHeads));
            double feedForward = (config.Gated ? 3.0 : 2.0) * config.HiddenSize * config.IntermediateSize;
            return (config.Layers * (attention + feedForward)) + ((double)config.HiddenSize * config.VocabularySize);
        }
    }

    private void Prefill(int tokens)
    {
        KvCache kv = Rent(tokens);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(i => (300 + (i * 7919)) % _decoder.VocabularySize)];
        Batch batch = new();
        batch.Add(kv.View, ids, 0, wantsLogits: true);
        double seconds = Median(batch);
        // Logits are computed for the last token only.
        double operations = 2 * (Parameters - ((double)_decoder.Config.HiddenSize * _decoder.VocabularySize)) * tokens;
        Console.WriteLine(FormattableString.Invariant($"| prefill {tokens} | {seconds * 1e3:F2} | {operations / seconds / 1e12:F0} TFLOP/s |"));
        kv.Release();
    }

    private void Decode(int sequences)
    {
        KvCache[] caches = [.. Enumerable.Range(0, sequences).Select(_ => Rent(_context + 1))];
        Fill(caches);
        Batch batch = new();
        for (int i = 0; i < sequences; i++) batch.Add(caches[i].View, [(300 + i) % _decoder.VocabularySize], _context, wantsLogits: true);
        double seconds = Median(batch);
        double bytes = (2 * Parameters) + ((double)sequences * _context * _decoder.KvLayout.TokenBytes);
        Console.WriteLine(FormattableString.Invariant($"| decode, batch {sequences}, context {_context} | {seconds * 1e3:F2} | {bytes / _bandwidth / seconds:F2} |"));
        foreach (KvCache cache in caches) cache.Release();
    }

    private KvCache Rent(int tokens)
    {
        KvCache kv = _memory.Rent() ?? throw new InvalidOperationException("There are fewer ranges than sequences.");
        if (!kv.TryReserve(tokens)) throw new InvalidOperationException($"{tokens} tokens do not fit.");
        kv.Wait(tokens);
        return kv;
    }

    /// <summary>The first context is computed; the others hold the same bytes in pages of their own.</summary>
    private void Fill(KvCache[] caches)
    {
        for (int start = 0; start < _context; start += _decoder.MaxBatchTokens)
        {
            int[] ids = [.. Enumerable.Range(start, Math.Min(_decoder.MaxBatchTokens, _context - start)).Select(i => (300 + (i * 7919)) % _decoder.VocabularySize)];
            Batch batch = new();
            batch.Add(caches[0].View, ids, start, wantsLogits: true);
            Step(batch);
        }
        foreach (KvCache cache in caches[1..]) _backend.Memory.Copy(cache.View.Address, caches[0].View.Address, _context * _decoder.KvLayout.TokenBytes);
    }

    private double Median(Batch batch)
    {
        for (int i = 0; i < 3; i++) Step(batch);
        double[] times = new double[Repetitions];
        for (int i = 0; i < times.Length; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Step(batch);
            times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        Array.Sort(times);
        return times[Repetitions / 2];
    }

    /// <summary>A step as the engine sees it: until the first row of logits is there.</summary>
    private void Step(Batch batch)
    {
        _decoder.Forward(batch);
        _decoder.ReadLogits(0, _logits);
    }
}
