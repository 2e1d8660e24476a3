using BenchmarkDotNet.Attributes;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// The attention of one decode step in all layers, by how the sequences' keys and values are paged. The same values in all cases, in pages of
/// 16 tokens (512 KiB) that lie in random order: mapped one by one by the memory hardware, or behind a page table that attention reads; and without
/// pages, each sequence in one allocation. Attention reads 4 GiB at 64 sequences of 2,048 tokens.
/// </summary>
public unsafe class PagingBenchmarks : IDisposable
{
    private const int Layers = 8, Heads = 32, KvHeads = 8, HeadDim = 64, TokensPerPage = 16;

    private readonly AttentionShape _shape = new(Heads, KvHeads, HeadDim, 1 / MathF.Sqrt(HeadDim));
    private readonly List<nint> _allocations = [];
    private KvLayout _layout;
    private CpuBackend _backend = null!;
    private IVirtualMemory? _virtualMemory;
    private CpuActivations _queries = null!, _outputs = null!;

    /// <summary>Sequences that each decode one token.</summary>
    [Params(64)]
    public int Sequences { get; set; }

    /// <summary>Tokens of each, the one being decoded included.</summary>
    [Params(2048)]
    public int Tokens { get; set; }

    private int PagesPerSequence => (Tokens + TokensPerPage - 1) / TokensPerPage;

    private long PageBytes => TokensPerPage * _layout.TokenBytes;

    [GlobalSetup(Target = nameof(Contiguous))]
    public void SetupContiguous()
    {
        Start();
        Begin([.. Enumerable.Range(0, Sequences).Select(_ => new KvView(Allocate(Tokens * _layout.TokenBytes), _layout.TokenBytes))]);
    }

    [GlobalSetup(Target = nameof(HardwarePaging))]
    public void SetupHardwarePaging()
    {
        Start();
        _virtualMemory = _backend.Memory.CreateVirtualMemory(PageBytes, Sequences * PagesPerSequence);
        KvView[] views = new KvView[Sequences];
        for (int i = 0; i < Sequences; i++) views[i] = new KvView(_virtualMemory.Reserve(PagesPerSequence * PageBytes), _layout.TokenBytes);
        foreach (int place in ShuffledPlaces())
        {
            nint address = views[place / PagesPerSequence].Address + (nint)(place % PagesPerSequence * PageBytes);
            _virtualMemory.Map(address, _virtualMemory.CreatePage());
            Touch(address, PageBytes);
        }
        Begin(views);
    }

    [GlobalSetup(Target = nameof(TablePaging))]
    public void SetupTablePaging()
    {
        Start();
        int[] places = ShuffledPlaces();
        nint pool = Allocate(places.Length * PageBytes);
        Touch(pool, places.Length * PageBytes);
        nint* table = (nint*)Allocate((long)places.Length * sizeof(nint));
        for (int page = 0; page < places.Length; page++) table[places[page]] = pool + (nint)(page * PageBytes);
        KvView[] views = new KvView[Sequences];
        for (int i = 0; i < Sequences; i++) views[i] = new KvView(0, _layout.TokenBytes, (nint)(table + (i * PagesPerSequence)), TokensPerPage);
        Begin(views);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _outputs.Dispose();
        _queries.Dispose();
        _virtualMemory?.Dispose();
        foreach (nint address in _allocations) _backend.Memory.Free(address);
        _allocations.Clear();
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark(Baseline = true)]
    public float Contiguous() => AttendAllLayers();

    [Benchmark]
    public float HardwarePaging() => AttendAllLayers();

    [Benchmark]
    public float TablePaging() => AttendAllLayers();

    /// <returns>The sum of the last layer's outputs, which is the same in all cases.</returns>
    private float AttendAllLayers()
    {
        for (int layer = 0; layer < Layers; layer++) _backend.Kernels.Attend(_queries, layer, _shape, null, null, null, _outputs);
        float sum = 0;
        for (long i = 0; i < (long)Sequences * _outputs.Stride; i++) sum += _outputs.Pointer[i];
        return sum;
    }

    private void Start()
    {
        _backend = new CpuBackend(ThreadTeam.DefaultThreads);
        _layout = new KvLayout(Layers, KvHeads, HeadDim, _backend.KvElementBytes);
        _queries = (CpuActivations)_backend.Tensors.CreateActivations(Sequences, (Heads + (2 * KvHeads)) * HeadDim);
        _outputs = (CpuActivations)_backend.Tensors.CreateActivations(Sequences, Heads * HeadDim);
        Random random = new(1);
        for (long i = 0; i < (long)Sequences * _queries.Stride; i++) _queries.Pointer[i] = random.NextSingle() - 0.5f;
    }

    /// <summary>Writes the keys and values of all tokens and begins the step.</summary>
    private void Begin(KvView[] views)
    {
        int tokenElements = (int)_layout.TokenBytes / sizeof(float);
        float[] values = new float[(1 << 16) + tokenElements];
        Random random = new(2);
        for (int i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
        nint[] places = new nint[Tokens];
        Batch batch = new();
        foreach (KvView view in views)
        {
            fixed (nint* pointer = places) new CpuChunk(view, FirstRow: 0, Length: Tokens, FirstPosition: 0).Locate(0, Tokens, pointer);
            foreach (nint place in places)
            {
                values.AsSpan(random.Next(1 << 16), tokenElements).CopyTo(new Span<float>((void*)place, tokenElements));
            }
            batch.Add(view, [0], Tokens - 1, wantsLogits: false);
        }
        _backend.BeginStep(batch);
    }

    /// <summary>The places of all sequences' pages in random order.</summary>
    private int[] ShuffledPlaces()
    {
        int[] places = [.. Enumerable.Range(0, Sequences * PagesPerSequence)];
        new Random(3).Shuffle(places);
        return places;
    }

    private nint Allocate(long bytes)
    {
        nint address = _backend.Memory.Allocate(bytes);
        _allocations.Add(address);
        return address;
    }

    /// <summary>Has the system put physical memory there now, in the order of the calls.</summary>
    private static void Touch(nint address, long bytes)
    {
        for (long i = 0; i < bytes; i += Environment.SystemPageSize) ((byte*)address)[i] = 0;
    }
}
