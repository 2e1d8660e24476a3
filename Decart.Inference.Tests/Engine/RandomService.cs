using Decart.Inference.Engine;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Engine;

/// <param name="Paging">How pages are found.</param>
/// <param name="TokenElements">Elements of a head: a token has four times as many, of four bytes.</param>
/// <param name="Pages">Physical pages.</param>
/// <param name="PrefixCaching">Whether pages are shared by their tokens.</param>
/// <param name="HashBits">Bits of the prefix cache's hash.</param>
/// <param name="Slots">Ranges.</param>
/// <param name="OnDevice">The share of sequences whose tokens are chosen by a device that computes a step only when somebody waits for it.</param>
/// <param name="Failing">The share of steps that cannot be started. They are tried again sequence by sequence, so that few fail.</param>
/// <param name="Ranges">The most address ranges; null for the process's.</param>
/// <param name="ShortOfMemory">The share of pages that there is no memory to map.</param>
/// <param name="Reading">The share of requests that read what is computed of each of their tokens and generate none.</param>
internal sealed record RandomServiceCase(
    PagingMode Paging,
    int TokenElements,
    int Pages,
    bool PrefixCaching = true,
    int HashBits = 64,
    int Slots = 64,
    double OnDevice = 0,
    double Failing = 0,
    int? Ranges = null,
    double ShortOfMemory = 0,
    double Reading = 0);

/// <summary>
/// An engine under a random load: requests, conversations with forks and rewinds, cancellations, readers that stop reading. Its model marks
/// every place that it writes and reads everything before (<see cref="MarkingModel"/>), and after each step all accounts are checked.
/// </summary>
internal sealed class RandomService : IDisposable
{
    private const int MaxConcurrent = 6;

    private readonly RandomServiceCase _case;
    private readonly Random _random;
    private readonly RecordedVirtualMemory? _recorded;
    private readonly bool _described; // whether the system tells of a process's address ranges
    private readonly KvMarks _marks;
    private readonly MarkingModel _model;
    private readonly KvMemory _memory;
    private readonly Scheduler _scheduler;
    private readonly EngineLoop _loop;
    private readonly List<StubSequence> _live = [];
    private readonly List<StubConversation> _conversations = [];
    private int _turnsInVain;

    public RandomService(IDeviceMemory device, RandomServiceCase @case, int seed)
    {
        (_case, _random) = (@case, new Random(seed));
        _described = device is HostMemory && OperatingSystem.IsLinux();
        KvLayout layout = new(Layers: 2, KvHeads: 1, @case.TokenElements, sizeof(int));
        _marks = new KvMarks(device);
        IPageMap map;
        if (@case.Paging == PagingMode.Table)
        {
            map = new TablePageMap(device, layout, @case.Pages, @case.Slots, MarkingModel.Context);
        }
        else
        {
            PageGeometry geometry = PageGeometry.ForHardware(layout.TokenBytes, device.PageGranularity);
            _recorded = new RecordedVirtualMemory(device.CreateVirtualMemory(geometry.PageBytes, @case.Pages));
            map = new HardwarePageMap(_recorded, device, layout, @case.Pages, @case.Slots, MaxConcurrent, MarkingModel.Context, NullLogger.Instance);
        }
        if (@case.ShortOfMemory > 0) map = new FaultyPageMap(map, () => _random.NextDouble() < @case.ShortOfMemory);
        _memory = new KvMemory(map, @case.PrefixCaching ? new PrefixCache(@case.Pages, map.Geometry.TokensTouching(1), @case.HashBits) : null);
        _model = new MarkingModel(layout, _marks, map.Geometry, _recorded, MaxConcurrent, _random, @case.Failing);
        _scheduler = new Scheduler(_memory, _model.MaxBatchTokens, MaxConcurrent);
        _loop = new EngineLoop(_model, _memory, _scheduler, NullLogger.Instance, "a test");
    }

    public int Steps => _model.Steps;

    /// <summary>Steps that were started before the one before them was waited for.</summary>
    public int Overlapping => _model.Overlapping;

    public int Finished { get; private set; }

    /// <summary>Those of them that have read all of their tokens.</summary>
    public int FinishedReading { get; private set; }

    public long Preemptions => _scheduler.Preemptions;

    public long PrefixHitTokens => _scheduler.PrefixHitTokens;

    public int SharedPages { get; private set; }

    private int MaxTokens => Math.Min(MarkingModel.Context, _memory.CapacityTokens);

    /// <summary>Runs steps under load, then lets what is there come to its end, and checks that nothing is left.</summary>
    public void Run(int steps)
    {
        for (int turns = 0; Steps < steps; turns++)
        {
            Assert.That(turns, Is.LessThan(10 * steps), "too little is asked for");
            Act();
            int before = Steps;
            bool hasWork = _scheduler.HasWork;
            Turn();
            _turnsInVain = hasWork && Steps == before ? _turnsInVain + 1 : 0;
            Assert.That(_turnsInVain, Is.LessThan(20), "sequences wait and nothing is computed");
        }
        foreach (StubConversation conversation in _conversations) Close(conversation);
        for (int idle = 0; _live.Count > 0; idle = _scheduler.HasWork ? 0 : idle + 1)
        {
            Assert.That(idle, Is.LessThan(10), "sequences are left that nothing is done for");
            foreach (StubSequence sequence in _live) sequence.Reads = true;
            Turn();
        }
        _loop.RunOnce();
        Check();
        Assert.That(_memory.Pool.InUse, Is.Zero);
        Assert.That(_scheduler.WaitingCount + _scheduler.RunningCount, Is.Zero);
    }

    public void Dispose() => _memory.Dispose();

    private void Act()
    {
        double chance = _random.NextDouble();
        if (chance < 0.10 * _case.Reading && _live.Count < 40) Submit(new ReadingSequence(Prompt([]), MaxTokens, _random.Next(20) == 0 ? 1 : 0, _random.Next(2) == 0));
        else if (chance < 0.10 && _live.Count < 40) Submit(NewSequence(Prompt([]), _random.Next(1, 60), _random.Next(20) == 0 ? 1 : 0, null));
        else if (chance < 0.13 && _conversations.Count < 8) _conversations.Add(new StubConversation());
        else if (chance < 0.30 && Idle() is { } speaking) Speak(speaking);
        else if (chance < 0.36 && Idle() is { } forked && _conversations.Count < 12) Fork(forked);
        else if (chance < 0.46 && Idle() is { } rewound) Rewind(rewound);
        else if (chance < 0.48 && Idle() is { } closed) Close(closed);
        else if (chance < 0.50 && _live.Count > 0) Cancel(_live[_random.Next(_live.Count)]);
        else if (chance < 0.52 && _live.Count > 0) _live[_random.Next(_live.Count)].Reads = false;
        foreach (StubSequence sequence in _live.FindAll(sequence => !sequence.Reads && _random.Next(30) == 0))
        {
            sequence.Reads = true;
            _loop.Wake();
        }
    }

    /// <summary>One of a few beginnings, so that prefixes are shared, and an end of its own.</summary>
    private int[] Prompt(IReadOnlyList<int> before)
    {
        int family = _random.Next(4), common = _random.Next(0, 90), own = _random.Next(1, 20);
        IEnumerable<int> prompt = [.. before, .. Enumerable.Range(0, common).Select(i => (i * 7 + family) % 5), .. Enumerable.Range(0, own).Select(_ => _random.Next(5))];
        return [.. prompt.Take(MaxTokens - 1)];
    }

    private StubSequence NewSequence(int[] prompt, int length, int priority, KeptKv? kept) =>
        new(prompt, MaxTokens, length, priority, kept, _random.NextDouble() < _case.OnDevice ? new MarkingModel.Sampler() : null);

    private void Submit(StubSequence sequence)
    {
        _live.Add(sequence);
        _loop.Submit(sequence);
    }

    private StubConversation? Idle()
    {
        StubConversation[] idle = [.. _conversations.Where(conversation => conversation.Turn is null)];
        return idle.Length == 0 ? null : idle[_random.Next(idle.Length)];
    }

    private void Speak(StubConversation conversation)
    {
        if (conversation.Tokens.Count >= MaxTokens - 1) return;
        conversation.Turn = NewSequence(Prompt(conversation.Tokens), _random.Next(1, 30), 0, conversation.Kept);
        Submit(conversation.Turn);
    }

    private void Fork(StubConversation conversation)
    {
        StubConversation fork = new();
        fork.Tokens.AddRange(conversation.Tokens);
        _conversations.Add(fork);
        _loop.Post(() => _scheduler.Kept.Fork(conversation.Kept, fork.Kept));
    }

    private void Rewind(StubConversation conversation)
    {
        int tokens = _random.Next(conversation.Tokens.Count + 1);
        conversation.Tokens.RemoveRange(tokens, conversation.Tokens.Count - tokens);
        _loop.Post(() => _scheduler.Kept.Truncate(conversation.Kept, tokens));
    }

    private void Close(StubConversation conversation)
    {
        conversation.IsClosed = true;
        _loop.Post(() => _scheduler.Kept.Close(conversation.Kept));
    }

    private void Cancel(StubSequence sequence)
    {
        _loop.Cancel(sequence);
        End(sequence);
    }

    /// <summary>A conversation goes on from what its turn has given so far.</summary>
    private void End(StubSequence sequence)
    {
        _live.Remove(sequence);
        if (_conversations.Find(conversation => conversation.Turn == sequence) is not { } spoken) return;
        spoken.Turn = null;
        if (sequence.IsDone) Assert.That(spoken.Kept.Cache?.Tokens ?? 0, Is.LessThan(sequence.Length), "the last token has been chosen and not computed");
        spoken.Tokens.Clear();
        spoken.Tokens.AddRange(sequence.Tokens);
        int tokens = spoken.Tokens.Count;
        _loop.Post(() => _scheduler.Kept.Truncate(spoken.Kept, tokens)); // a cancelled turn has gone on until the loop noticed
    }

    private void Turn()
    {
        _conversations.RemoveAll(conversation => conversation.IsClosed && conversation.Turn is null);
        _loop.RunOnce();
        foreach (StubSequence sequence in _live.FindAll(sequence => sequence.IsDone || sequence.Failure is not null))
        {
            if (sequence.Failure is null) Finished++;
            if (sequence.Failure is null && sequence.Rows != RowOutput.None) FinishedReading++;
            if (sequence.Failure is not null) Assert.That(sequence.Failure.InnerException!.Message, Is.AnyOf(MarkingModel.Injected, FaultyPageMap.Injected));
            CheckAnswer(sequence);
            End(sequence);
        }
        Check();
    }

    private static void CheckAnswer(StubSequence sequence)
    {
        uint hash = 17;
        for (int i = 0; i < sequence.Tokens.Length; i++)
        {
            if (i >= sequence.PromptLength && sequence.Tokens[i] != MarkingModel.Next(hash)) Assert.Fail($"token {i} is not the one that follows those before");
            hash = MarkingModel.Hash(hash, sequence.Tokens[i]);
        }
    }

    private void Check()
    {
        KvCache[] caches = [.. _scheduler.Sequences.Select(sequence => sequence.Kv).OfType<KvCache>(), .. _scheduler.Kept.All.Select(kept => kept.Cache!)];
        int[] references = new int[_case.Pages];
        foreach (KvCache cache in caches)
        {
            for (int i = 0; i < cache.Pages; i++) references[cache.Page(i)]++;
            Assert.That(_memory.Geometry.PagesFor(cache.Tokens), Is.LessThanOrEqualTo(cache.Pages));
        }
        int inUse = 0;
        for (int page = 0; page < references.Length; page++)
        {
            if (_memory.Pool.References(page) != references[page]) Assert.Fail($"page {page} has {references[page]} users, {_memory.Pool.References(page)} on account");
            if (references[page] > 0) inUse++;
            if (references[page] > 1) SharedPages++;
        }
        Assert.That(_memory.Pool.InUse, Is.EqualTo(inUse));
        Assert.That(_memory.Pool.Free + _memory.Pool.Cached + inUse, Is.EqualTo(_case.Pages));
        if (_recorded is not null) CheckMappings(caches);
        if (Steps % 16 == 0) CheckContent();
    }

    /// <summary>What is mapped is what sequences hold and what is parked, nothing else.</summary>
    private void CheckMappings(KvCache[] caches)
    {
        _memory.Map.Wait(0, long.MaxValue, _memory.Map.LastTicket);
        foreach (KvCache cache in caches)
        {
            for (int i = 0; i < cache.Pages; i++)
            {
                nint address = cache.View.Address + (nint)(i * _memory.Geometry.PageBytes);
                if (!_recorded!.Mapped.TryGetValue(address, out nint page) || page != _recorded.Pages[cache.Page(i)]) Assert.Fail("a page is not where it is held");
            }
        }
        int mapped = caches.Sum(cache => cache.Pages) + _memory.Caches.Sum(cache => cache.Parked);
        Assert.That(_recorded!.Mapped, Has.Count.EqualTo(mapped));
        if (Steps % 16 == 0 && _described) CheckRanges();
    }

    /// <summary>The account of address ranges is what the kernel says: those of the slots, which are one when nothing is mapped, and the window's.</summary>
    private void CheckRanges()
    {
        nint first = _memory.Map.View(0).Address, slot = _memory.Map.View(1).Address - first;
        int described = ProcessMaps.CountRanges(first - (nint)_memory.Geometry.PageBytes, first + (slot * _memory.Map.Slots));
        Assert.That(_memory.Map.Ranges.Taken, Is.EqualTo(described + 1));
    }

    private void CheckContent()
    {
        foreach (Sequence sequence in _scheduler.Sequences)
        {
            for (int i = 0; i < sequence.Computed - sequence.TokensInFlight; i++)
            {
                if (_marks.Read(sequence.Kv!.View, i) != sequence.Tokens[i]) Assert.Fail($"position {i} holds another token");
            }
        }
        foreach (StubConversation conversation in _conversations.Where(conversation => conversation.Kept.Cache is not null && conversation.Turn is null))
        {
            KvCache cache = conversation.Kept.Cache!;
            for (int i = 0; i < Math.Min(cache.Tokens, conversation.Tokens.Count); i++)
            {
                if (_marks.Read(cache.View, i) != conversation.Tokens[i]) Assert.Fail($"position {i} holds another token");
            }
        }
    }

    private sealed class StubConversation
    {
        public List<int> Tokens { get; } = [];

        public KeptKv Kept { get; } = new();

        public StubSequence? Turn { get; set; }

        public bool IsClosed { get; set; }
    }

    private class StubSequence(int[] prompt, int maxTokens, int length, int priority, KeptKv? kept, MarkingModel.Sampler? sampler)
        : Sequence(prompt, Math.Min(maxTokens, prompt.Length + length - 1 + (length % 3 == 0 ? 0 : 10)), priority, kept) // two of three end before they have to
    {
        private readonly int _end = Math.Min(maxTokens, prompt.Length + length - 1) + 1;

        public bool Reads { get; set; } = true;

        public bool IsDone { get; protected set; }

        public Exception? Failure { get; private set; }

        public override bool HasRoom => Reads;

        public override bool Accept(Span<float> logits)
        {
            Append(MarkingModel.Next((uint)logits[0]));
            return Tokens.Length == _end;
        }

        public override bool Accept(int token)
        {
            Append(token);
            return Tokens.Length == _end;
        }

        public override void Publish() => IsDone = Tokens.Length == _end;

        public override void Fail(Exception error) => Failure = error;

        public override void Abandon() => Failure = new ObjectDisposedException("session");

        protected override SequenceSampler? CreateSampler(IDecoder decoder) => sampler;
    }

    /// <summary>Reads the logits or the hidden state of each of its tokens, once.</summary>
    private sealed class ReadingSequence(int[] prompt, int maxTokens, int priority, bool logits) : StubSequence(prompt, maxTokens, 1, priority, null, null)
    {
        private readonly float[] _hidden = new float[1];
        private uint _hash = 17;
        private int _read;

        public override RowOutput Rows => logits ? RowOutput.Logits : RowOutput.HiddenStates;

        public override int ReusableTokens => Math.Min(_read, base.ReusableTokens);

        public override bool Accept(ComputedRows rows)
        {
            Assert.That(rows.FirstPosition, Is.LessThanOrEqualTo(_read));
            for (; _read < rows.EndPosition; _read++)
            {
                _hash = MarkingModel.Hash(_hash, Tokens[_read]);
                if (!logits) rows.ReadHidden(_read, _hidden);
                float found = logits ? rows.Logits(_read)[0] : _hidden[0];
                if (found != (_hash & 0xFFFF)) throw new InvalidOperationException($"position {_read} has another token's row");
            }
            return _read == Length;
        }

        public override void Publish() => IsDone = true;
    }
}
