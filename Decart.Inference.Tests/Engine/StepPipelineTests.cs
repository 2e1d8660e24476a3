using Decart.Inference.Engine;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Sampling;
using Decart.Inference.Tests.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Engine;

/// <summary>The order in which steps are launched and finished, and what becomes of those that cannot be.</summary>
internal sealed class StepPipelineTests
{
    private readonly List<string> _events = [];
    private readonly List<KvMemory> _memories = [];
    private bool _hasNoMemory;

    [TearDown]
    public void Free()
    {
        _memories.ForEach(memory => memory.Dispose());
        _memories.Clear();
        _events.Clear();
        _hasNoMemory = false;
    }

    [Test]
    public void A_step_is_launched_before_the_one_before_it_is_finished_where_the_device_chooses()
    {
        (Scheduler scheduler, StepPipeline steps, _) = Create();
        scheduler.Add(new StubSequence(_events, "a", prompt: 3, tokens: 3, onDevice: true));
        for (int i = 0; i < 3; i++) steps.Step();
        Assert.That(_events, Is.EqualTo(new[] { "launch 1: a", "launch 2: a", "finish 1", "a has 1", "launch 3: a", "finish 2", "a has 2" }));
        Assert.That(steps.IsSettled, Is.False);
        steps.Step();
        Assert.That(_events[7..], Is.EqualTo(new[] { "finish 3", "a ends with 3" }), "its last token is on its way: there is nothing to launch");
        Assert.That((steps.IsSettled, scheduler.HasWork, steps.PromptTokens, steps.GeneratedTokens), Is.EqualTo((true, false, 3, 3)));
    }

    [Test]
    public void Tokens_under_a_mask_are_chosen_once_the_step_before_is_finished_and_its_layers_are_launched_before()
    {
        (Scheduler scheduler, StepPipeline steps, _) = Create();
        scheduler.Add(new StubSequence(_events, "a", prompt: 3, tokens: 3, onDevice: true, isMasked: true));
        scheduler.Add(new StubSequence(_events, "b", prompt: 3, tokens: 3, onDevice: true));
        for (int i = 0; i < 4; i++) steps.Step();
        Assert.That(_events, Is.EqualTo(new[]
        {
            "launch 1: ab", "choose 1 of a under mask 0", "launch 2: ab", "finish 1", "a has 1", "b has 1", "choose 2 of a under mask 1", "launch 3: ab", "finish 2", "a has 2", "b has 2",
            "choose 3 of a under mask 2", "finish 3", "a ends with 3", "b ends with 3",
        }));
    }

    [Test]
    public void A_masked_sequence_that_ends_sooner_than_it_must_needs_no_further_mask()
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create();
        StubSequence sequence = new(_events, "a", prompt: 3, tokens: 1, onDevice: true, maxTokens: 20, isMasked: true);
        scheduler.Add(sequence);
        for (int i = 0; i < 3; i++) steps.Step();
        Assert.That(_events, Is.EqualTo(new[] { "launch 1: a", "choose 1 of a under mask 0", "launch 2: a", "finish 1", "finish 2", "a ends with 1" }));
        Assert.That((sequence.State, memory.Pool.InUse, steps.IsSettled), Is.EqualTo((SequenceState.Ended, 0, true)));
    }

    [Test]
    public void A_sequence_whose_mask_cannot_be_made_fails_alone()
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create();
        scheduler.Add(new StubSequence(_events, "a", prompt: 3, tokens: 5, onDevice: true, isMasked: true, maskFailsAfter: 1));
        scheduler.Add(new StubSequence(_events, "b", prompt: 3, tokens: 2, onDevice: true));
        for (int i = 0; i < 60 && (scheduler.HasWork || !steps.IsSettled); i++) steps.Step();
        Assert.That(_events, Does.Contain("a fails: no mask").And.Contain("b ends with 2"));
        Assert.That(memory.Pool.InUse, Is.Zero);
    }

    [Test]
    public void A_step_whose_tokens_cannot_be_chosen_after_another_has_ended_leaves_nothing_behind()
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create(failsToChoose: 2);
        StubSequence ended = new(_events, "a", prompt: 3, tokens: 1, onDevice: true, maxTokens: 20, isMasked: true);
        scheduler.Add(ended);
        scheduler.Add(new StubSequence(_events, "b", prompt: 3, tokens: 2, onDevice: true));
        for (int i = 0; i < 60 && (scheduler.HasWork || !steps.IsSettled); i++) steps.Step();
        Assert.That(_events, Does.Contain("a ends with 1").And.Contain("b ends with 2"));
        Assert.That((ended.State, memory.Pool.InUse), Is.EqualTo((SequenceState.Ended, 0)));
    }

    [Test]
    public void Where_the_host_chooses_a_step_is_finished_before_the_next()
    {
        (Scheduler scheduler, StepPipeline steps, _) = Create();
        scheduler.Add(new StubSequence(_events, "a", prompt: 3, tokens: 2, onDevice: true));
        scheduler.Add(new StubSequence(_events, "b", prompt: 3, tokens: 2, onDevice: false));
        for (int i = 0; i < 2; i++) steps.Step();
        Assert.That(
            _events, Is.EqualTo(new[] { "launch 1: ab", "finish 1", "a has 1", "b has 1", "launch 2: ab", "finish 2", "a ends with 2", "b ends with 2" }));
    }

    [Test]
    public void A_sequence_that_ends_sooner_than_it_must_is_in_one_step_more_of_which_nothing_is_used()
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create();
        StubSequence sequence = new(_events, "a", prompt: 3, tokens: 2, onDevice: true, maxTokens: 20);
        scheduler.Add(sequence);
        for (int i = 0; i < 3; i++) steps.Step();
        Assert.That(_events[^3..], Is.EqualTo(new[] { "a has 1", "launch 3: a", "finish 2" }));
        Assert.That((sequence.State, scheduler.RunningCount, memory.Pool.InUse), Is.EqualTo((SequenceState.Ending, 0, 1)), "its pages are still written to");
        steps.Step();
        Assert.That(_events[^2..], Is.EqualTo(new[] { "finish 3", "a ends with 2" }));
        Assert.That((sequence.State, memory.Pool.InUse, steps.GeneratedTokens), Is.EqualTo((SequenceState.Ended, 0, 2)));
    }

    [Test]
    public void Whoever_has_to_give_up_pages_does_so_when_no_step_is_in_flight()
    {
        (Scheduler scheduler, StepPipeline steps, _) = Create(pages: 3);
        StubSequence first = new(_events, "a", prompt: 15, tokens: 10, onDevice: true), second = new(_events, "b", prompt: 15, tokens: 10, onDevice: true);
        scheduler.Add(first);
        scheduler.Add(second);
        for (int i = 0; i < 10 && scheduler.Preemptions == 0; i++) steps.Step();
        Assert.That(scheduler.Preemptions, Is.EqualTo(1));
        Assert.That((first.State, second.State), Is.EqualTo((SequenceState.Running, SequenceState.Waiting)));
        int launched = _events.FindLastIndex(entry => entry.StartsWith("launch", StringComparison.Ordinal));
        Assert.That(_events[launched], Does.EndWith(": a"));
        Assert.That(_events[..launched].Count(entry => entry.StartsWith("finish", StringComparison.Ordinal)), Is.EqualTo(_events[..launched].Count(entry => entry.StartsWith("launch", StringComparison.Ordinal))));
        for (int i = 0; i < 60 && (scheduler.HasWork || !steps.IsSettled); i++) steps.Step();
        Assert.That(_events, Does.Contain("a ends with 10").And.Contain("b ends with 10"));
    }

    [Test]
    public void A_step_that_cannot_be_launched_is_launched_sequence_by_sequence([Values] bool onDevice)
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create(refuses: 'b');
        foreach (string name in (string[])["a", "b", "c"]) scheduler.Add(new StubSequence(_events, name, prompt: 3, tokens: 2, onDevice));
        steps.Step();
        Assert.That(
            _events, Is.EqualTo(new[] { "launch 1: a", "finish 1", "a has 1", "b fails: refused", "launch 2: c", "finish 2", "c has 1" }));
        steps.Step();
        steps.Step();
        Assert.That(_events[^2..], Is.EqualTo(new[] { "a ends with 2", "c ends with 2" }));
        Assert.That((memory.Pool.InUse, steps.PromptTokens), Is.EqualTo((0, 6)));
    }

    [Test]
    public void A_step_that_cannot_be_finished_fails_its_sequences()
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create(failsToFinish: 2);
        scheduler.Add(new StubSequence(_events, "a", prompt: 3, tokens: 9, onDevice: true));
        for (int i = 0; i < 4; i++) steps.Step();
        Assert.That(_events[^1], Is.EqualTo("a fails: lost"));
        Assert.That((memory.Pool.InUse, scheduler.HasWork, steps.IsSettled), Is.EqualTo((0, false, true)));
    }

    [Test]
    public void A_sequence_that_there_is_no_memory_to_set_up_fails_alone_and_others_go_on()
    {
        (Scheduler scheduler, StepPipeline steps, KvMemory memory) = Create();
        scheduler.Add(new StubSequence(_events, "a", prompt: 3, tokens: 2, onDevice: true));
        steps.Step();
        _hasNoMemory = true;
        scheduler.Add(new StubSequence(_events, "b", prompt: 3, tokens: 2, onDevice: true));
        steps.Step();
        _hasNoMemory = false;
        scheduler.Add(new StubSequence(_events, "c", prompt: 3, tokens: 2, onDevice: true));
        for (int i = 0; i < 60 && (scheduler.HasWork || !steps.IsSettled); i++) steps.Step();
        Assert.That(_events, Does.Contain($"b fails: {FaultyPageMap.Injected}").And.Contain("a ends with 2").And.Contain("c ends with 2"));
        Assert.That(memory.Pool.InUse, Is.Zero);
    }

    /// <summary>A pipeline over pages of 16 tokens.</summary>
    private (Scheduler Scheduler, StepPipeline Steps, KvMemory Memory) Create(int pages = 100, char? refuses = null, int failsToFinish = 0, int failsToChoose = 0)
    {
        KvLayout layout = new(1, 1, 1, sizeof(float));
        KvMemory memory = new(new FaultyPageMap(new TablePageMap(new HostMemory(), layout, pages, slots: 8, slotTokens: 128), () => _hasNoMemory), prefixes: null);
        _memories.Add(memory);
        Scheduler scheduler = new(memory, maxBatchTokens: 64, maxConcurrentSequences: 8);
        RecordingDecoder decoder = new(layout, _events, refuses, failsToFinish, failsToChoose);
        return (scheduler, new StepPipeline(decoder, memory, scheduler, NullLogger.Instance, "a test"), memory);
    }

    private sealed class RecordingDecoder(KvLayout layout, List<string> events, char? refuses, int failsToFinish, int failsToChoose) : IDecoder
    {
        private readonly Dictionary<KvView, char> _names = [];
        private int _launched, _finished, _chosen;

        public int VocabularySize => 128;

        public int ContextLength => 128;

        public int MaxBatchTokens => 64;

        public int MaxBatchSequences => 8;

        public KvLayout KvLayout => layout;

        /// <summary>Tells the batch's sequences by their tokens, or by their ranges where the device knows the tokens.</summary>
        public void Forward(Batch batch)
        {
            string names = "";
            foreach (BatchChunk chunk in batch.Chunks) names += Name(batch.TokenIds[chunk.FirstRow], chunk.Kv);
            if (refuses is { } refused && names.Contains(refused)) throw new InvalidOperationException("refused");
            events.Add($"launch {++_launched}: {names}");
        }

        public void Wait()
        {
            if (_finished < _launched) Finish(_launched);
        }

        public void ReadLogits(int index, Span<float> destination)
        {
        }

        public SampledTokens Sample(ReadOnlySpan<SampledRow> rows)
        {
            if (++_chosen == failsToChoose) throw new InvalidOperationException("cannot choose");
            int[] tokens = new int[MaxBatchSequences];
            foreach (SampledRow row in rows)
            {
                tokens[row.LogitRow] = ((StubSampler)row.Sampler).Name;
                if (row.Mask is { } mask) events.Add($"choose {_launched} of {((StubSampler)row.Sampler).Name} under mask {mask.Words[0]}");
            }
            return new Tokens(this, _launched, tokens);
        }

        public void Dispose()
        {
        }

        private char Name(int token, KvView kv)
        {
            if (token > 0) _names[kv] = (char)token;
            return _names[kv];
        }

        private void Finish(int step)
        {
            _finished = step;
            events.Add($"finish {step}");
            if (step == failsToFinish) throw new InvalidOperationException("lost");
        }

        private sealed class Tokens(RecordingDecoder decoder, int step, int[] tokens) : SampledTokens
        {
            public override ReadOnlySpan<int> Wait()
            {
                decoder.Finish(step);
                return tokens;
            }
        }
    }

    private sealed class StubSampler(char name) : SequenceSampler
    {
        public char Name => name;

        public override void Dispose()
        {
        }
    }

    /// <summary>Its tokens are all its name.</summary>
    private sealed class StubSequence(List<string> events, string name, int prompt, int tokens, bool onDevice, int maxTokens = 0, bool isMasked = false, int maskFailsAfter = int.MaxValue)
        : Sequence([.. Enumerable.Repeat((int)name[0], prompt)], Math.Max(maxTokens, prompt + tokens - 1))
    {
        public override bool IsMasked => isMasked;

        public override TokenMask NextMask() =>
            CompletionLength < maskFailsAfter ? new TokenMask([(uint)CompletionLength]) : throw new InvalidOperationException("no mask");

        public override bool Accept(Span<float> logits) => Accept(name[0]);

        public override bool Accept(int token)
        {
            Append(token);
            return CompletionLength == tokens;
        }

        public override void Publish() => events.Add(CompletionLength == tokens ? $"{name} ends with {tokens}" : $"{name} has {CompletionLength}");

        public override void Fail(Exception error) => events.Add($"{name} fails: {error.InnerException!.Message}");

        public override void Abandon()
        {
        }

        protected override SequenceSampler? CreateSampler(IDecoder decoder) => onDevice ? new StubSampler(name[0]) : null;
    }
}
