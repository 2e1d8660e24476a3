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
    public async Task A_loop_that_cannot_go_on_fails_every_request_and_takes_no_more()
    {
        using var log = new RecordingLog { OnLog = level => { if (level == LogLevel.Error) throw new InvalidDataException("the log is full"); } };
        using var gate = new ManualResetEventSlim();
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        decoder.OnForward = _ =>
        {
            gate.Wait();
            throw new IOException("the disk is gone");
        };
        await using LlmSession session = SessionOver(decoder, new() { LoggerFactory = log, MaxConcurrentSequences = 1 });
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 });
        Task<GenerationResult> waiting = session.GenerateAsync(new[] { 2 });
        gate.Set();
        await Assert.ThatAsync(() => running, Throws.InvalidOperationException.With.Message.Contains("the disk is gone"));
        await Assert.ThatAsync(() => waiting, Throws.InvalidOperationException.With.Message.Contains("the log is full"));
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
