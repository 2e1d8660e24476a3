using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Session;

/// <summary>The inputs from the field that concern text; each folder's README.md says what is right.</summary>
[CancelAfter(60_000)]
public class FieldTextTests
{
    [TestCase("model", "<|im_end|>", 428)]
    [TestCase("model.gguf", "<|end_of_role|>", 429)]
    public async Task A_stop_sequence_that_is_a_special_token_ends_the_completion(string model, string stop, int token)
    {
        string path = Fixtures.Field("stop-sequence-that-is-a-special-token", model);
        await using LlmSession session = await LlmSession.LoadAsync(path, new() { Device = Device.Cpu });
        GenerationOptions options = new() { Temperature = 0, MaxTokens = 6, LogitBias = new Dictionary<int, float> { [token] = 1000 }, IgnoreEndOfText = true };
        GenerationResult named = await session.GenerateAsync("hello", options with { StopSequences = [stop] });
        GenerationResult byId = await session.GenerateAsync("hello", options with { StopTokenIds = [token] });
        Assert.That(named.TokenIds, Is.EqualTo(new[] { token }));
        Assert.That((named.FinishReason, named.Text, named.StopSequence, named.StopTokenId), Is.EqualTo((FinishReason.Stop, "", stop, (int?)token)));
        Assert.That((byId.FinishReason, byId.Text, byId.StopSequence, byId.StopTokenId), Is.EqualTo((FinishReason.Stop, "", (string?)null, (int?)token)));
    }

    [Test]
    public async Task A_rendered_prompts_second_bos_is_warned_about_and_users_text_can_be_read_plainly()
    {
        string path = Fixtures.Field("text-prompts-and-special-tokens", "model");
        using RecordingLog log = new();
        await using LlmSession session = await LlmSession.LoadAsync(path, new() { Device = Device.Cpu, LoggerFactory = log });
        Assert.That(session.Tokenizer.Encode("<s>hello"), Is.EqualTo(new[] { 1, 1, 426, 265 }));
        Assert.That(session.Tokenizer.Encode("<s>hello", addSpecialTokens: false), Is.EqualTo(new[] { 1, 426, 265 }));
        IReadOnlyList<int> plain = session.Tokenizer.Encode("say </s> please", addSpecialTokens: true, parseSpecialTokens: false);
        Assert.That(session.Tokenizer.Encode("say </s> please"), Does.Contain(2));
        Assert.That(plain, Does.Not.Contain(2));
        Assert.That(session.Tokenizer.Decode(plain), Is.EqualTo("say </s> please"));

        GenerationOptions one = new() { MaxTokens = 1 };
        await session.GenerateAsync(Prompt.FromString("<s>hello", addSpecialTokens: false, parseSpecialTokens: true), one);
        await session.GenerateAsync(Prompt.FromString("<s>hello", addSpecialTokens: true, parseSpecialTokens: false), one);
        Assert.That(log.Messages(LogLevel.Warning), Is.Empty);
        Assert.That((await session.GenerateAsync("<s>hello", one)).Usage.PromptTokens, Is.EqualTo(4));
        Assert.That(log.Messages(LogLevel.Warning), Has.One.Contains("BOS"));
    }

    [Test]
    public async Task Added_tokens_of_older_folders_are_tokens()
    {
        string path = Fixtures.Field("added-tokens-json-is-ignored", "model");
        await using LlmSession session = await LlmSession.LoadAsync(path, new() { Device = Device.Cpu });
        Assert.That(session.Tokenizer.Encode("<|im_start|><|im_end|>", addSpecialTokens: false), Is.EqualTo(new[] { 427, 428 }));
        Assert.That(session.Tokenizer.EosTokenIds, Does.Contain(428));
        GenerationOptions options = new() { Temperature = 0, MaxTokens = 6, LogitBias = new Dictionary<int, float> { [428] = 1000 } };
        GenerationResult result = await session.GenerateAsync("hello", options);
        Assert.That((result.FinishReason, result.StopTokenId, result.Text), Is.EqualTo((FinishReason.Stop, (int?)428, "")));
    }

    [Test]
    public async Task A_tokenizer_may_have_more_ids_than_the_model()
    {
        string path = Fixtures.Field("tokenizer-has-more-ids-than-model", "in-tokenizer-json");
        await using LlmSession session = await LlmSession.LoadAsync(path, new() { Device = Device.Cpu });
        GenerationResult result = await session.GenerateAsync(new[] { 1, 270, 280, 290, 301, 302, 303, 304 }, new() { Temperature = 0, MaxTokens = 8, IgnoreEndOfText = true });
        Assert.That(result.TokenIds, Is.EqualTo(new[] { 218, 124, 124, 124, 4, 4, 8, 8 }));
        Assert.That(session.Tokenizer.Encode("hello world"), Is.EqualTo(new[] { 1, 426, 265, 426, 268 }), "by the merges of this file");
        Assert.That(await session.NextTokenLogitsAsync("hello world"), Has.Length.EqualTo(427));
        await Assert.ThatAsync(() => session.GenerateAsync("hello [PAD]"), Throws.ArgumentException.With.Message.Contains("token id 427"));
        await Assert.ThatAsync(
            () => session.GenerateAsync("hello", new() { LogitBias = new Dictionary<int, float> { [427] = 1 } }), Throws.InstanceOf<ArgumentException>());
    }

    /// <summary>The file claims 424 tokens and has one.</summary>
    [Test]
    public async Task A_damaged_tekken_file_is_named_when_the_model_is_loaded()
    {
        string path = Fixtures.Field("unclear-messages-for-common-mistakes", "only-tekken");
        await Assert.ThatAsync(
            () => LlmSession.LoadAsync(path, new() { Device = Device.Cpu }),
            Throws.TypeOf<ModelLoadException>().With.Message.Contains("tekken.json").And.Message.Contains("424 tokens").And.Message.Contains("found 1"));
    }
}
