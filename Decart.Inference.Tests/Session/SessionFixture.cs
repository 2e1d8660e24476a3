using System.Collections.Frozen;
using Decart.Inference.Engine;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over a fake model, and waiting for what another thread does.</summary>
internal static class SessionFixture
{
    public static LlmSession SessionOver(
        FakeDecoder decoder, LlmSessionOptions? options = null, ITokenizer? tokenizer = null, GenerationOptions? defaults = null)
    {
        var info = new ModelInfo
        {
            Source = "fake",
            Architecture = "Fake",
            VocabularySize = decoder.VocabularySize,
            ContextLength = decoder.ContextLength,
            Device = Device.Cpu,
        };
        int[] endOfText = [.. tokenizer?.EosTokenIds ?? []];
        LlmSession session = new(new LoadedModel(decoder, tokenizer, info, defaults ?? new(), endOfText.ToFrozenSet()), options ?? new());
        // A test that hangs is ended by its CancelAfter: disposal ends whatever it waits for.
        TestContext.CurrentContext.CancellationToken.Register(session.Dispose);
        return session;
    }

    /// <summary>A session whose model answers every prompt of one character with the text, then ends it.</summary>
    public static LlmSession Answering(string text, LlmSessionOptions? options = null) => SessionOver(
        FakeDecoder.Scripted(258, promptLength: 2, [.. ByteTokenizer.Bytes(text), ByteTokenizer.Eos]), options, new ByteTokenizer());

    public static Task Until(Func<bool> condition) => Task.Run(() => Assert.That(SpinWait.SpinUntil(condition, 10_000), "it did not happen within 10 s"));
}
