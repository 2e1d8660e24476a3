using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>
/// What a sequence gets does not depend on how its prompt is cut, on what else is in the batch nor on how its keys and values are paged, bit for bit.
/// </summary>
[TestFixtureSource(nameof(Cases))]
public sealed class BatchTests(string device, string model)
{
    private const int MaxBatchTokens = 64, NewTokens = 8;
    private static readonly int[] PromptLengths = [1, 5, 17, 30];

    private IBackend _backend = null!;
    private Decoder _decoder = null!;
    private int[][] _prompts = null!;
    private (int[] Tokens, float[] Logits)[] _alone = null!;

    public static IEnumerable<TestFixtureData> Cases =>
        Devices.Names.Append(Devices.CpuFp8).SelectMany(device => TinyModels.Names.Select(model => new TestFixtureData(device, model)));

    [OneTimeSetUp]
    public void Load()
    {
        string folder = TinyModels.WriteFolder(TinyModels.Config(model));
        try
        {
            _backend = Devices.Create(device);
            _decoder = Decoders.LoadRandom(folder, _backend, MaxBatchTokens, PromptLengths.Length, seed: 5);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        Random random = new(11);
        _prompts = [.. PromptLengths.Select(length => Enumerable.Range(0, length).Select(_ => random.Next(_decoder.VocabularySize)).ToArray())];
        _alone = [.. _prompts.Select(prompt => _decoder.Generate(prompt, NewTokens))];
    }

    [OneTimeTearDown]
    public void Unload()
    {
        _decoder?.Dispose();
        _backend?.Dispose();
    }

    [Test]
    public void Logits_are_numbers_that_depend_on_the_prompt()
    {
        Assert.That(_alone.SelectMany(answer => answer.Logits), Is.All.Matches<float>(float.IsFinite));
        Assert.That(_alone.Select(answer => answer.Logits[0]).Distinct().Count(), Is.EqualTo(_prompts.Length));
    }

    [Test]
    public void A_prompt_taken_in_chunks_gives_the_same_answer([Values(1, 3, 16)] int chunk, [Values(0, 4)] int tokensPerPage)
    {
        for (int i = 0; i < _prompts.Length; i++)
        {
            (int[] tokens, float[] logits) = _decoder.Generate(_prompts[i], NewTokens, chunk, tokensPerPage);
            Assert.That(logits, Is.EqualTo(_alone[i].Logits));
            Assert.That(tokens, Is.EqualTo(_alone[i].Tokens));
        }
    }

    [Test]
    public void Sequences_that_join_one_by_one_give_the_answers_they_give_alone([Values(1, 4, 16)] int chunk, [Values(0, 4)] int tokensPerPage)
    {
        (int[][] tokens, float[][] logits) = _decoder.GenerateTogether(_prompts, NewTokens, chunk, tokensPerPage);
        Assert.That(logits, Is.EqualTo(_alone.Select(answer => answer.Logits)));
        Assert.That(tokens, Is.EqualTo(_alone.Select(answer => answer.Tokens)));
    }

    [Test]
    public void A_batch_beyond_the_limits_or_the_vocabulary_is_refused()
    {
        using TestKv kv = new(_decoder.KvLayout, MaxBatchTokens + 1);
        Assert.That(() => _decoder.Forward(BatchOf(kv.View, new int[MaxBatchTokens + 1])), Throws.ArgumentException.With.Message.Contains("64 tokens"));
        Assert.That(() => _decoder.Forward(new Batch()), Throws.ArgumentException.With.Message.Contains("64 tokens"));
        Assert.That(() => _decoder.Forward(BatchOf(kv.View, [_decoder.VocabularySize])), Throws.ArgumentException.With.Message.Contains("vocabulary"));
        Assert.That(() => _decoder.Forward(BatchOf(kv.View, [-1])), Throws.ArgumentException.With.Message.Contains("vocabulary"));
    }

    private static Batch BatchOf(KvView kv, int[] tokens)
    {
        Batch batch = new();
        batch.Add(kv, tokens, 0, wantsLogits: true);
        return batch;
    }
}
