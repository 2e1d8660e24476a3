using Decart.Inference.Tests.Session;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Embeddings;

/// <summary>The contract of embedding generators, over a session whose model is fake.</summary>
[CancelAfter(60_000)]
public class EmbeddingGeneratorTests
{
    private const int Vocabulary = 258;

    [Test]
    public async Task Texts_have_the_embeddings_that_the_session_gives_in_their_order()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        await using LlmSession session = SessionOver(decoder, tokenizer: new ByteTokenizer());
        using IEmbeddingGenerator<string, Embedding<float>> generator = session.AsEmbeddingGenerator();
        string[] texts = [.. Enumerable.Range(0, 600).Select(i => new string((char)('a' + (i % 26)), 1 + (i % 17))), ""];
        GeneratedEmbeddings<Embedding<float>> embeddings = await generator.GenerateAsync(texts);
        Assert.That(embeddings, Has.Count.EqualTo(texts.Length));
        for (int i = 0; i < texts.Length; i += 43) Assert.That(embeddings[i].Vector.ToArray(), Is.EqualTo(await session.EmbedAsync(texts[i])), $"text {i}");
        int tokens = texts.Sum(text => text.Length + 1);
        Assert.That((embeddings.Usage!.InputTokenCount, embeddings.Usage.TotalTokenCount), Is.EqualTo(((long?)tokens, (long?)tokens)));
        Assert.That(embeddings.Select(embedding => (embedding.ModelId, embedding.Dimensions)), Is.All.EqualTo(("fake", FakeDecoder.HiddenSize)));
        Assert.That(decoder.LargestBatch, Is.GreaterThan(40), "many in one step");
        Assert.That(await generator.GenerateAsync([]), Is.Empty);
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Options_are_honoured_or_refused()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), tokenizer: new ByteTokenizer());
        EmbeddingOptions last = new() { Pooling = EmbeddingPooling.LastToken, Normalize = false };
        using IEmbeddingGenerator<string, Embedding<float>> generator = session.AsEmbeddingGenerator(last);
        Assert.That(await Embed(new()), Is.EqualTo(await session.EmbedAsync("text", last)));
        Assert.That(await Embed(new() { Dimensions = 3, ModelId = "fake" }), Is.EqualTo(await session.EmbedAsync("text", last with { Dimensions = 3 })));
        EmbeddingOptions mean = new() { Dimensions = 5 };
        Assert.That(await Embed(new() { RawRepresentationFactory = _ => mean }), Is.EqualTo(await session.EmbedAsync("text", mean)));
        Assert.That(await Embed(new() { RawRepresentationFactory = _ => mean, Dimensions = 2 }), Is.EqualTo(await session.EmbedAsync("text", mean with { Dimensions = 2 })));
        await Assert.ThatAsync(() => Embed(new() { ModelId = "other" }), Throws.TypeOf<NotSupportedException>().With.Message.Contains("other"));
        await Assert.ThatAsync(() => Embed(new() { AdditionalProperties = new() { ["encoding_format"] = "base64" } }), Throws.TypeOf<NotSupportedException>().With.Message.Contains("encoding_format"));
        await Assert.ThatAsync(() => Embed(new() { RawRepresentationFactory = _ => "x" }), Throws.ArgumentException.With.Message.Contains("String"));
        await Assert.ThatAsync(() => Embed(new() { Dimensions = 99 }), Throws.TypeOf<ArgumentOutOfRangeException>());

        async Task<float[]> Embed(EmbeddingGenerationOptions options) => (await generator.GenerateVectorAsync("text", options)).ToArray();
    }

    [Test]
    public async Task It_says_what_it_is_and_gives_its_session()
    {
        LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), tokenizer: new ByteTokenizer());
        using IEmbeddingGenerator<string, Embedding<float>> generator = session.AsEmbeddingGenerator(), cut = session.AsEmbeddingGenerator(new() { Dimensions = 3 });
        EmbeddingGeneratorMetadata metadata = generator.GetService<EmbeddingGeneratorMetadata>()!;
        Assert.That((metadata.ProviderName, metadata.DefaultModelId, metadata.DefaultModelDimensions), Is.EqualTo(("decart.inference", "fake", (int?)FakeDecoder.HiddenSize)));
        Assert.That(cut.GetService<EmbeddingGeneratorMetadata>()!.DefaultModelDimensions, Is.EqualTo(3));
        Assert.That(generator.GetService<ILlmSession>(), Is.SameAs(session));
        Assert.That(generator.GetService<LlmSession>(), Is.SameAs(session));
        Assert.That(generator.GetService<IEmbeddingGenerator<string, Embedding<float>>>(), Is.SameAs(generator));
        Assert.That(generator.GetService(typeof(LlmSession), "key"), Is.Null);
        Assert.That(generator.GetService<string>(), Is.Null);
        generator.Dispose();
        Assert.That((await generator.GenerateAsync(["after its disposal"])), Has.Count.EqualTo(1), "the session is its owner's");
        await session.DisposeAsync();
        await Assert.ThatAsync(() => generator.GenerateAsync(["after the session's"]), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public async Task What_is_no_text_is_refused_and_one_that_fails_gives_up_the_others()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary, contextLength: 50), tokenizer: new ByteTokenizer()), mute = SessionOver(FakeDecoder.Hashed(Vocabulary));
        using IEmbeddingGenerator<string, Embedding<float>> generator = session.AsEmbeddingGenerator();
        Assert.That(() => mute.AsEmbeddingGenerator(), Throws.TypeOf<NotSupportedException>());
        Assert.That(() => LlmSessionExtensions.AsEmbeddingGenerator(null!), Throws.ArgumentNullException);
        await Assert.ThatAsync(() => generator.GenerateAsync(null!), Throws.ArgumentNullException);
        await Assert.ThatAsync(() => generator.GenerateAsync(["a", null!]), Throws.ArgumentException.With.Message.Contains("index 1"));
        string[] texts = [.. Enumerable.Repeat("a", 500), new string('b', 50)];
        await Assert.ThatAsync(() => generator.GenerateAsync(texts), Throws.TypeOf<ContextLengthExceededException>());
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task A_call_is_cancelled_with_all_of_its_texts()
    {
        using ManualResetEventSlim gate = new(), entered = new();
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        decoder.OnForward = _ =>
        {
            entered.Set();
            gate.Wait();
        };
        await using LlmSession session = SessionOver(decoder, tokenizer: new ByteTokenizer());
        using CancellationTokenSource cancellation = new();
        Task<GeneratedEmbeddings<Embedding<float>>> call = session.AsEmbeddingGenerator().GenerateAsync(Enumerable.Repeat("text", 1000), cancellationToken: cancellation.Token);
        entered.Wait();
        await cancellation.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => call);
        gate.Set();
        await Until(() => session.GetStatistics() is { KvPagesInUse: 0, RunningSequences: 0, WaitingSequences: 0 });
        Assert.That(session.GetStatistics().PromptTokens, Is.LessThan(2000));
    }

    [Test]
    public async Task Any_number_of_threads_may_call_it()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), new() { MaxConcurrentSequences = 16 }, new ByteTokenizer());
        using IEmbeddingGenerator<string, Embedding<float>> generator = session.AsEmbeddingGenerator();
        string[] texts = ["one", "two", "three and more"];
        float[][] alone = Vectors(await generator.GenerateAsync(texts));
        GeneratedEmbeddings<Embedding<float>>[] calls = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(() => generator.GenerateAsync(texts))));
        foreach (GeneratedEmbeddings<Embedding<float>> call in calls) Assert.That(Vectors(call), Is.EqualTo(alone));

        static float[][] Vectors(IEnumerable<Embedding<float>> embeddings) => [.. embeddings.Select(embedding => embedding.Vector.ToArray())];
    }
}
