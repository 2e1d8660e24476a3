using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Memory;
using Decart.Inference.Tests.Memory;
using Microsoft.Extensions.Logging;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

[CancelAfter(30_000)]
public class LoggingTests
{
    [Test]
    public async Task What_users_write_and_models_answer_is_logged_at_trace_only()
    {
        using var log = new RecordingLog();
        await using (LlmSession session = Answering("secret answer", new() { LoggerFactory = log }))
            await session.GenerateAsync("?", new() { Temperature = 0 });
        Assert.Multiple(() =>
        {
            Assert.That(log.Messages(LogLevel.Trace), Has.Some.Contains("?"));
            Assert.That(string.Concat(log.Messages(LogLevel.Trace).Select(message => message[^1])), Does.Contain("secret answer"), "a character a message");
            Assert.That(log.Messages(LogLevel.Information), Has.One.Contains("Loaded Fake"));
            Assert.That(log.Messages(LogLevel.Debug), Has.One.Contains("(Stop): 2 prompt tokens, 14 generated"));
        });
    }

    [Test]
    public async Task The_width_of_vectors_is_logged_when_a_session_computes_on_the_processor()
    {
        using var log = new RecordingLog();
        string model = Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");
        await using LlmSession session = await LlmSession.LoadAsync(model, new() { LoggerFactory = log, Device = Device.Cpu, Threads = 1 });
        Assert.That(log.Messages(LogLevel.Information), Has.One.EqualTo(
            $"Computes on the processor: 1 threads, vectors of {SimdWidths.Machine.Bits()} bits."));
    }

    [Test]
    public async Task Failures_are_logged_with_their_cause()
    {
        using var log = new RecordingLog();
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        decoder.OnForward = _ => throw new IOException("the disk is gone");
        await using LlmSession session = SessionOver(decoder, new() { LoggerFactory = log });
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.GenerateAsync(new[] { 1 }));
        Assert.That(log.Entries.Where(entry => entry.Level == LogLevel.Error).Select(entry => entry.Error), Has.One.TypeOf<IOException>());
    }

    [Test]
    public async Task Pages_that_cannot_be_unmapped_are_logged_and_the_session_goes_on()
    {
        using var log = new RecordingLog();
        FaultPlan faults = new();
        faults.Fail(MemoryOperation.Unmap);
        await using LlmSession session = SessionOver(
            FakeDecoder.Hashed(8), new() { LoggerFactory = log }, memory: new FaultyDeviceMemory(new HostMemory(), faults));
        int[] prompt = [.. Enumerable.Repeat(3, 100)];
        for (int i = 0; i < 8; i++) Assert.That((await session.GenerateAsync(prompt, new() { MaxTokens = 3 })).TokenIds, Has.Count.EqualTo(3));
        Assert.That(log.Entries.Count(entry => entry.Error is VirtualMemoryException), Is.EqualTo(1));
    }

    [Test]
    public async Task A_log_that_fails_ends_nothing_but_the_request_that_it_tells_of()
    {
        using var log = new RecordingLog { OnLog = level => { if (level == LogLevel.Error) throw new InvalidDataException("the log is full"); } };
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = batch =>
        {
            if (batch.TokenIds.Contains(13)) throw new IOException("the disk is gone");
            Thread.Sleep(1);
        };
        await using LlmSession session = SessionOver(decoder, new() { LoggerFactory = log });
        GenerationOptions harmless = new() { MaxTokens = 50, LogitBias = new Dictionary<int, float> { [13] = float.NegativeInfinity } };
        Task<GenerationResult> other = session.GenerateAsync(new[] { 1 }, harmless);
        for (int i = 0; i < 3; i++)
        {
            InvalidOperationException error = (await Assert.ThrowsAsync<InvalidOperationException>(() => session.GenerateAsync(new[] { 13 })))!;
            Assert.That(error.Message, Does.Contain("the disk is gone"));
            Assert.That(((AggregateException)error.InnerException!).InnerExceptions.Select(inner => inner.Message), Is.EqualTo(new[] { "the disk is gone", "the log is full" }));
            await Assert.ThrowsAsync<InvalidOperationException>(() => session.NextTokenLogitsAsync(new[] { 13 }));
        }
        Assert.That((await other).TokenIds, Has.Count.EqualTo(50));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task A_log_that_fails_on_its_callers_thread_ends_that_callers_request([Values(LogLevel.Trace, LogLevel.Debug)] LogLevel failing)
    {
        bool full = false;
        using var log = new RecordingLog { OnLog = level => { if (full && level == failing) throw new InvalidDataException("the log is full"); } };
        await using LlmSession session = Answering("an answer", new() { LoggerFactory = log });
        using Conversation conversation = session.StartConversation();
        IAsyncEnumerable<GenerationUpdate> updates = session.StreamAsync("?", new() { Temperature = 0 });
        await using IAsyncEnumerator<GenerationUpdate> other = updates.GetAsyncEnumerator();
        Assert.That(await other.MoveNextAsync());
        full = true;
        await Assert.ThrowsAsync<InvalidDataException>(() => session.GenerateAsync("?"));
        await Assert.ThrowsAsync<InvalidDataException>(() => conversation.GenerateAsync("?"));
        full = false;
        string text = other.Current.Text;
        while (await other.MoveNextAsync()) text += other.Current.Text;
        Assert.That(text, Is.EqualTo("an answer"));
        Assert.That(conversation.TokenCount, Is.Zero);
        Assert.That((await conversation.GenerateAsync("?", new() { Temperature = 0 })).Text, Is.EqualTo("an answer"));
        conversation.Dispose();
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Pages_that_cannot_be_unmapped_with_a_log_that_fails_end_no_request()
    {
        using var log = new RecordingLog { OnLog = level => { if (level == LogLevel.Warning) throw new InvalidDataException("the log is full"); } };
        FaultPlan faults = new();
        faults.Fail(MemoryOperation.Unmap);
        LlmSession session = SessionOver(FakeDecoder.Hashed(8), new() { LoggerFactory = log }, memory: new FaultyDeviceMemory(new HostMemory(), faults));
        int[] prompt = [.. Enumerable.Repeat(3, 100)];
        for (int i = 0; i < 8; i++) Assert.That((await session.GenerateAsync(prompt, new() { MaxTokens = 3 })).TokenIds, Has.Count.EqualTo(3));
        await Assert.ThrowsAsync<InvalidDataException>(async () => await session.DisposeAsync(), "nobody else could be told");
    }

    [Test]
    public async Task A_loop_that_cannot_go_on_fails_every_request_and_takes_no_more()
    {
        using var gate = new ManualResetEventSlim();
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        decoder.OnForward = _ => gate.Wait();
        await using LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 });
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 });
        Task<GenerationResult> waiting = session.GenerateAsync(new[] { 2 });
        session.PostToEngine(_ => throw new InvalidDataException("the engine is broken"));
        gate.Set();
        await Assert.ThatAsync(() => running, Throws.InvalidOperationException.With.Message.Contains("the engine is broken"));
        await Assert.ThatAsync(() => waiting, Throws.InvalidOperationException.With.Message.Contains("the engine is broken"));
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1 }), Throws.InvalidOperationException.With.Message.Contains("takes no more requests"));
    }

    [Test]
    public async Task Disposal_frees_the_model_though_the_log_fails()
    {
        using var log = new RecordingLog { OnLog = level => { if (level == LogLevel.Warning) throw new InvalidDataException("the log is full"); } };
        FaultPlan faults = new();
        faults.FailWhen(MemoryOperation.Unmap, _ => true);
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        LlmSession session = SessionOver(decoder, new() { LoggerFactory = log }, memory: new FaultyDeviceMemory(new HostMemory(), faults));
        int[] prompt = [.. Enumerable.Repeat(3, 100)];
        Assert.That((await session.GenerateAsync(prompt, new() { MaxTokens = 3 })).TokenIds, Has.Count.EqualTo(3));
        await Assert.ThrowsAsync<InvalidDataException>(async () => await session.DisposeAsync());
        Assert.That(decoder.IsDisposed);
    }
}
