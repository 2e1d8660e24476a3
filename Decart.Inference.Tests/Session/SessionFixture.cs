using System.Collections.Frozen;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over a fake model, and waiting for what another thread does.</summary>
internal static class SessionFixture
{
    public static LlmSession SessionOver(
        FakeDecoder decoder, LlmSessionOptions? options = null, ITokenizer? tokenizer = null, GenerationOptions? defaults = null, IDeviceMemory? memory = null)
    {
        options ??= new();
        memory ??= new HostMemory();
        var info = new ModelInfo
        {
            Source = "fake",
            Architecture = "Fake",
            VocabularySize = decoder.VocabularySize,
            HiddenSize = FakeDecoder.HiddenSize,
            ContextLength = decoder.ContextLength,
            Device = Device.Cpu,
        };
        int[] endOfText = [.. tokenizer?.EosTokenIds ?? []];
        KvMemory kv = KvMemoryPlan
            .For(memory, decoder.KvLayout, decoder.ContextLength, options.MaxConcurrentSequences, options.KvCacheBytes, options.Paging)
            .Create(memory, options.PrefixCaching, options.LoggerFactory?.CreateLogger("memory") ?? NullLogger.Instance);
        LlmSession session = new(new LoadedModel(decoder, kv, tokenizer, info, defaults ?? new(), endOfText.ToFrozenSet()), options);
        // A test that hangs is ended by its CancelAfter: disposal ends whatever it waits for.
        TestContext.CurrentContext.CancellationToken.Register(session.Dispose);
        return session;
    }

    /// <summary>A session whose model answers every prompt of one character with the text, then ends it.</summary>
    public static LlmSession Answering(string text, LlmSessionOptions? options = null) => SessionOver(
        FakeDecoder.Scripted(258, promptLength: 2, [.. ByteTokenizer.Bytes(text), ByteTokenizer.Eos]), options, new ByteTokenizer());

    /// <summary>Waits until no request holds pages any longer.</summary>
    public static Task UntilPagesAreFree(LlmSession session) => Until(() => session.GetStatistics().KvPagesInUse == 0);

    public static Task Until(Func<bool> condition) => Task.Run(() => Assert.That(SpinWait.SpinUntil(condition, 10_000), "it did not happen within 10 s"));
}
