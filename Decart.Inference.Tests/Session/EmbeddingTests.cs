using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>Hidden states become embeddings by the pooling that was asked for.</summary>
[CancelAfter(60_000)]
public class EmbeddingTests
{
    private const int Vocabulary = 40;

    private static readonly EmbeddingOptions Last = new() { Pooling = EmbeddingPooling.LastToken, Normalize = false };
    private static readonly EmbeddingOptions Mean = Last with { Pooling = EmbeddingPooling.Mean };
    private static readonly EmbeddingOptions Cls = Last with { Pooling = EmbeddingPooling.Cls };

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(45)]
    public async Task The_mean_is_that_of_all_hidden_states_and_Cls_is_the_first(int length)
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), new() { MaxConcurrentSequences = 4, MaxBatchTokens = 7 });
        int[] prompt = Prompt(length);
        double[] sum = new double[FakeDecoder.HiddenSize];
        for (int i = 1; i <= length; i++)
        {
            float[] hidden = await session.EmbedAsync(prompt[..i], Last);
            for (int k = 0; k < sum.Length; k++) sum[k] += hidden[k];
            if (i == 1) Assert.That(await session.EmbedAsync(prompt, Cls), Is.EqualTo(hidden));
        }
        Assert.That(await session.EmbedAsync(prompt, Mean), Is.EqualTo(sum.Select(value => (float)(value / length))), "to the last bit");
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Embeddings_are_cut_and_then_have_length_one()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary));
        int[] prompt = Prompt(20);
        float[] raw = await session.EmbedAsync(prompt, Mean), normal = await session.EmbedAsync(prompt), cut = await session.EmbedAsync(prompt, new() { Dimensions = 3 });
        Assert.That(await session.EmbedAsync(prompt, Mean with { Dimensions = 3 }), Is.EqualTo(raw[..3]));
        Assert.That(normal, Is.EqualTo(Normalised(raw)).Within(1e-7));
        Assert.That(cut, Is.EqualTo(Normalised(raw[..3])).Within(1e-7));

        static double[] Normalised(float[] vector)
        {
            double length = Math.Sqrt(vector.Sum(value => (double)value * value));
            return [.. vector.Select(value => value / length)];
        }
    }

    [Test]
    public async Task A_vector_of_zeros_stays_one()
    {
        FakeDecoder decoder = new(Vocabulary, (_, _) => { }) { Hidden = (_, hidden) => Array.Clear(hidden) };
        await using LlmSession session = SessionOver(decoder);
        Assert.That(await session.EmbedAsync(Prompt(3)), Is.EqualTo(new float[FakeDecoder.HiddenSize]));
    }

    [Test]
    public async Task The_last_token_needs_no_more_than_is_not_cached_and_the_mean_needs_all()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary));
        int[] prompt = Prompt(100);
        float[] last = await session.EmbedAsync(prompt, Last);
        Assert.That(session.GetStatistics().PromptTokens, Is.EqualTo(100));
        Assert.That(await session.EmbedAsync(prompt, Last), Is.EqualTo(last));
        Assert.That(session.GetStatistics().PrefixHitTokens, Is.GreaterThan(60));
        long computed = session.GetStatistics().PromptTokens;
        await session.EmbedAsync(prompt, Mean);
        Assert.That(session.GetStatistics().PromptTokens, Is.EqualTo(computed + 100));
        await session.EmbedAsync(prompt, Cls);
        Assert.That(session.GetStatistics().PromptTokens, Is.EqualTo(computed + 101));
    }

    [Test]
    public async Task What_cannot_be_embedded_is_refused()
    {
        LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary, contextLength: 50));
        await Assert.ThatAsync(() => session.EmbedAsync(default), Throws.ArgumentException.With.Message.Contains("empty"));
        await Assert.ThatAsync(() => session.EmbedAsync(new[] { -1 }), Throws.ArgumentException.With.Message.Contains("token id -1"));
        await Assert.ThatAsync(() => session.EmbedAsync(Prompt(51)), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.EmbedAsync(Prompt(51), Cls), Throws.TypeOf<ContextLengthExceededException>(), "whatever the pooling");
        await Assert.ThatAsync(() => session.EmbedAsync("text"), Throws.TypeOf<NotSupportedException>());
        Assert.That(() => session.EmbedAsync((string)null!), Throws.ArgumentNullException);
        await Assert.ThatAsync(() => session.EmbedAsync(Prompt(5), new() { Dimensions = 0 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        await Assert.ThatAsync(() => session.EmbedAsync(Prompt(5), new() { Dimensions = 9 }), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("1 to 8"));
        await Assert.ThatAsync(() => session.EmbedAsync(Prompt(5), new() { Pooling = (EmbeddingPooling)9 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(await session.EmbedAsync(Prompt(50)), Has.Length.EqualTo(FakeDecoder.HiddenSize));
        await Assert.CatchAsync<OperationCanceledException>(() => session.EmbedAsync(Prompt(9), null, new CancellationToken(canceled: true)));
        await session.DisposeAsync();
        await Assert.ThatAsync(() => session.EmbedAsync(Prompt(9)), Throws.TypeOf<ObjectDisposedException>());
    }

    [TestCase(float.NaN)]
    [TestCase(float.NegativeInfinity)]
    public async Task Hidden_states_that_are_no_numbers_fail_their_own_request_only(float value)
    {
        FakeDecoder decoder = new(Vocabulary, (_, _) => { })
        {
            Hidden = (tokens, hidden) =>
            {
                if (tokens[^1] == 13) hidden[2] = value;
            },
        };
        await using LlmSession session = SessionOver(decoder);
        Task<float[]> good = session.EmbedAsync(Enumerable.Repeat(5, 30).ToArray());
        await Assert.ThatAsync(() => session.EmbedAsync(new[] { 5, 13, 5 }), Throws.InvalidOperationException.With.Message.Contains("not finite").And.Message.Contains("damaged"));
        Assert.That(await session.EmbedAsync(new[] { 5, 13, 5 }, Last), Has.All.Matches<float>(float.IsFinite));
        Assert.That(await good, Has.All.Matches<float>(float.IsFinite));
        await UntilPagesAreFree(session);
    }

    private static int[] Prompt(int length) => [.. Enumerable.Range(0, length).Select(i => ((i * i) + (3 * i)) % Vocabulary)];
}
