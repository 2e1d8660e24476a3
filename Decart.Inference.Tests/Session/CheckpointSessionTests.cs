using System.Text.Json;
using Decart.Inference.Tests.Checkpoints;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over real checkpoints, loaded the way a user loads them.</summary>
[CancelAfter(120_000)]
public class CheckpointSessionTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, IgnoreEndOfText = true, MaxTokens = 24 };

    private static string Storyteller => Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");

    private static IEnumerable<string> Folders() => Fixtures.Folder is null
        ? []
        : Directory.GetDirectories(Fixtures.Folder).Where(folder => File.Exists(Path.Combine(folder, "reference.json"))).Select(Path.GetFileName).Order()!;

    [TestCaseSource(nameof(Folders))]
    public async Task Prompts_together_and_one_by_one_give_the_same_tokens(string name)
    {
        int[][] prompts = Reference(name, "prompts").Deserialize<int[][]>()!;
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Path(name), new() { MaxBatchTokens = 16, MaxConcurrentSequences = 3 });
        GenerationOptions sampled = Greedy with { Temperature = 1.5f, Seed = 7, TopP = 0.95f, RepetitionPenalty = 1.1f };
        foreach (GenerationOptions options in (GenerationOptions[])[Greedy, sampled])
        {
            GenerationResult[] together = await Task.WhenAll(prompts.Select(prompt => session.GenerateAsync(prompt, options)));
            for (int i = 0; i < prompts.Length; i++)
                Assert.That((await session.GenerateAsync(prompts[i], options)).TokenIds, Is.EqualTo(together[i].TokenIds));
        }
    }

    [TestCaseSource(nameof(Folders))]
    public async Task Reference_answers_are_reproduced(string name)
    {
        int[][] prompts = Reference(name, "prompts").Deserialize<int[][]>()!;
        float[][] logits = Reference(name, "logits_last").Deserialize<float[][]>()!;
        int[][] greedy = Reference(name, "greedy").Deserialize<int[][]>()!;
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Path(name));
        for (int i = 0; i < prompts.Length; i++)
        {
            Assert.That(await session.NextTokenLogitsAsync(prompts[i]), Is.EqualTo(logits[i]).Within(5e-4f));
            GenerationResult result = await session.GenerateAsync(prompts[i], Greedy with { MaxTokens = greedy[i].Length });
            Assert.That(result.TokenIds, Is.EqualTo(greedy[i]));
        }
    }

    [Test]
    public async Task Logits_do_not_depend_on_the_chunks_of_the_prompt()
    {
        int[] prompt = [.. Enumerable.Range(3, 200)];
        await using LlmSession whole = await LlmSession.LoadAsync(Storyteller);
        await using LlmSession chunked = await LlmSession.LoadAsync(Storyteller, new() { MaxBatchTokens = 7, MaxConcurrentSequences = 7, Threads = 1 });
        float[] expected = await whole.NextTokenLogitsAsync(prompt);
        Assert.That(expected, Has.Length.EqualTo(whole.Model.VocabularySize));
        Assert.That(await chunked.NextTokenLogitsAsync(prompt), Is.EqualTo(expected));
    }

    [Test]
    public async Task The_storyteller_tells_a_story()
    {
        List<LoadProgress> steps = [];
        await using LlmSession session = await LlmSession.LoadAsync(Storyteller, progress: new Recorder(steps));
        const string Prompt = "Once upon a time";
        GenerationOptions options = new() { Seed = 3, MaxTokens = 40 };
        GenerationResult result = await session.GenerateAsync(Prompt, options);
        string streamed = string.Concat((await session.StreamAsync(Prompt, options).ToListAsync()).Select(update => update.Text));
        IReadOnlyList<int> prompt = session.Tokenizer.Encode(Prompt);
        Assert.Multiple(() =>
        {
            Assert.That(streamed, Is.EqualTo(result.Text));
            Assert.That(result.Text, Is.EqualTo(session.Tokenizer.Decode([.. prompt, .. result.TokenIds])[Prompt.Length..]));
            Assert.That(result.Text.Split(' '), Has.Length.GreaterThan(20));
            Assert.That(result.Usage.PromptTokens, Is.EqualTo(prompt.Count));
            Assert.That(steps[^1].Step, Is.Not.Empty);
            Assert.That(steps.Max(step => step.Fraction), Is.EqualTo(1));
        });
    }

    [Test]
    public async Task The_storytellers_greedy_stories_are_those_of_float64_arithmetic()
    {
        JsonElement[] cases = Cases(Path.Combine(Storyteller, "golden.json"));
        await using LlmSession session = await LlmSession.LoadAsync(Storyteller);
        GenerationResult[] results = await Task.WhenAll(cases.Select(story => session.GenerateAsync(
            story.GetProperty("prompt").GetString()!, new() { Temperature = 0, MaxTokens = story.GetProperty("max_new_tokens").GetInt32() })));
        for (int i = 0; i < cases.Length; i++)
        {
            Assert.That(results[i].TokenIds, Is.EqualTo(cases[i].GetProperty("generated_ids").Deserialize<int[]>()));
            Assert.That(cases[i].GetProperty("prompt").GetString() + results[i].Text, Is.EqualTo(cases[i].GetProperty("text_including_prompt").GetString()));
        }
    }

    [Test]
    [NeedsFixtures]
    public async Task A_chat_model_in_a_gguf_file_answers_as_in_float64_arithmetic()
    {
        const string EndOfTurn = "<|im_end|>";
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"));
        JsonElement[] all = Cases(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.json"));
        JsonElement[] cases = [.. all.Where(answer => answer.GetProperty("prompt_ids").GetArrayLength() < 100)];
        GenerationResult[] results = await Task.WhenAll(cases.Select(answer => session.GenerateAsync(
            answer.GetProperty("prompt").GetString()!, new() { Temperature = 0, MaxTokens = answer.GetProperty("greedy").GetArrayLength() })));
        for (int i = 0; i < cases.Length; i++)
        {
            string expected = cases[i].GetProperty("greedy_text").GetString()!;
            bool ended = expected.EndsWith(EndOfTurn, StringComparison.Ordinal);
            Assert.That(results[i].Text, Is.EqualTo(ended ? expected[..^EndOfTurn.Length] : expected));
            Assert.That(results[i].FinishReason, Is.EqualTo(ended ? FinishReason.Stop : FinishReason.Length));
        }
    }

    [Test]
    [NeedsFixtures]
    public async Task A_checkpoint_without_a_tokenizer_takes_token_ids()
    {
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Path("llama2-gqa-bf16"));
        GenerationResult result = await session.GenerateAsync(new[] { 1, 5, 9 }, Greedy);
        Assert.That(result.TokenIds, Has.Count.EqualTo(24));
        Assert.That(result.Text, Is.Empty);
        await Assert.ThatAsync(() => session.GenerateAsync("text"), Throws.TypeOf<NotSupportedException>().With.Message.Contains("has no tokenizer"));
    }

    [Test]
    public async Task What_cannot_be_loaded_says_why_and_leaves_nothing_open()
    {
        await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync(Path.Combine(Storyteller, "absent")));
        await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync(Path.Combine(Storyteller, "tokenizer.json")));
        await Assert.ThatAsync(
            () => LlmSession.LoadAsync(Storyteller, new() { Device = Device.Cuda(1000) }),
            Throws.TypeOf<NotSupportedException>().With.Message.Contains("cuda:1000 cannot be used").And.Message.Contains("CUDA driver"));
        await Assert.CatchAsync<OperationCanceledException>(() => LlmSession.LoadAsync(Storyteller, cancellationToken: new CancellationToken(canceled: true)));
        Assert.Throws<ArgumentOutOfRangeException>(() => LlmSession.LoadAsync(Storyteller, new() { MaxConcurrentSequences = 0 }));
        Assert.Throws<ArgumentException>(() => LlmSession.LoadAsync(""));
    }

    [Test]
    public async Task What_is_wrong_with_a_checkpoint_is_said_before_its_weights_are_read()
    {
        string folder = Directory.CreateTempSubdirectory("decart").FullName;
        try
        {
            File.Copy(Path.Combine(Storyteller, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
            string config = await File.ReadAllTextAsync(Path.Combine(Storyteller, "config.json"));
            await File.WriteAllTextAsync(
                Path.Combine(folder, "config.json"), config.Replace("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7", StringComparison.Ordinal));
            List<LoadProgress> steps = [];
            await Assert.ThatAsync(
                () => LlmSession.LoadAsync(folder, progress: new Recorder(steps)), Throws.TypeOf<ModelLoadException>().With.Message.Contains("model.layers.6."));
            Assert.That(steps.Select(step => step.BytesLoaded), Is.All.Zero);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public async Task Loading_can_be_cancelled_between_its_steps()
    {
        using var cancellation = new CancellationTokenSource();
        var progress = new Recorder([], step =>
        {
            if (step.BytesLoaded > 0) cancellation.Cancel();
        });
        await Assert.CatchAsync<OperationCanceledException>(() => LlmSession.LoadAsync(Storyteller, progress: progress, cancellationToken: cancellation.Token));
    }

    [Test]
    public async Task A_progress_or_a_log_that_fails_fails_loading_and_leaves_nothing_running()
    {
        var failing = new Recorder([], step => { if (step.BytesLoaded > 0) throw new InvalidDataException("the window is closed"); });
        await Assert.ThrowsAsync<InvalidDataException>(() => LlmSession.LoadAsync(Storyteller, progress: failing));
        using var log = new FailingLog();
        await Assert.ThrowsAsync<InvalidDataException>(() => LlmSession.LoadAsync(Storyteller, new() { LoggerFactory = log }));
        Assert.That(Mappings("storyteller"), Is.Empty);
    }

    [Test]
    public async Task Damaged_weights_are_suspected_by_name()
    {
        using var folder = new TemporaryFolder();
        foreach (string file in (string[])["config.json", "tokenizer.json"]) File.Copy(Path.Combine(Storyteller, file), Path.Combine(folder.Path, file));
        byte[] weights = await File.ReadAllBytesAsync(Path.Combine(Storyteller, "model.safetensors"));
        weights.AsSpan(weights.Length / 2, weights.Length / 4).Fill(0xFF);
        folder.Write("model.safetensors", weights);
        await using LlmSession session = await LlmSession.LoadAsync(folder.Path);
        string suspicion = $"The weights of {folder.Path} are probably damaged";
        await Assert.ThatAsync(() => session.GenerateAsync("Once", Greedy), Throws.InvalidOperationException.With.Message.Contains(suspicion));
        await Assert.ThatAsync(() => session.NextTokenLogitsAsync("Once"), Throws.InvalidOperationException.With.Message.Contains(suspicion));
    }

    [Test]
    [NeedsFixtures]
    public async Task Random_weights_may_be_of_few_bits([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4, WeightFormat.Q8_0)] WeightFormat format)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(Storyteller, "config.json"), Path.Combine(folder.Path, "config.json"));
        LlmSessionOptions options = new() { RandomWeights = true, Quantize = format };
        await using LlmSession session = await LlmSession.LoadAsync(folder.Path, options), again = await LlmSession.LoadAsync(folder.Path, options);
        await using LlmSession others = await LlmSession.LoadAsync(folder.Path, options with { Quantize = null });
        float[] logits = await session.NextTokenLogitsAsync(new[] { 1, 2, 3 });
        Assert.That(await again.NextTokenLogitsAsync(new[] { 1, 2, 3 }), Is.EqualTo(logits));
        Assert.That(await others.NextTokenLogitsAsync(new[] { 1, 2, 3 }), Is.Not.EqualTo(logits));
        Assert.That(logits, Is.All.InRange(-100, 100));
    }

    [Test]
    public async Task Random_weights_need_no_more_than_a_configuration()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(Storyteller, "config.json"), Path.Combine(folder.Path, "config.json"));
        LlmSessionOptions options = new() { RandomWeights = true };
        await using LlmSession session = await LlmSession.LoadAsync(folder.Path, options);
        await using LlmSession again = await LlmSession.LoadAsync(folder.Path, options);
        GenerationResult result = await session.GenerateAsync(new[] { 1, 2, 3 }, Greedy);
        Assert.That(result.TokenIds, Has.Count.EqualTo(24));
        Assert.That((await again.GenerateAsync(new[] { 1, 2, 3 }, Greedy)).TokenIds, Is.EqualTo(result.TokenIds));
        File.Copy(Path.Combine(Storyteller, "tokenizer.json"), Path.Combine(folder.Path, "tokenizer.json"));
        await using LlmSession texts = await LlmSession.LoadAsync(folder.Path, options);
        Assert.That((await texts.GenerateAsync("Once", Greedy)).Text, Is.Not.Empty);
        await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync(Path.Combine(folder.Path, "config.json"), options));
    }

    [Test]
    [NeedsFixtures]
    public async Task A_prompt_with_ids_beyond_the_models_is_refused_not_the_tokenizer_that_has_them()
    {
        using var folder = new TemporaryFolder();
        foreach (string file in (string[])["config.json", "model.safetensors"])
            File.Copy(Fixtures.Path("llama2-gqa-bf16", file), Path.Combine(folder.Path, file));
        File.Copy(Path.Combine(Storyteller, "tokenizer.json"), Path.Combine(folder.Path, "tokenizer.json"));
        await using LlmSession session = await LlmSession.LoadAsync(folder.Path, new() { Device = Device.Cpu });
        int beyond = session.Tokenizer.VocabularySize - 1;
        Assert.That(beyond, Is.GreaterThanOrEqualTo(session.Model.VocabularySize));
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1, beyond }), Throws.ArgumentException.With.Message.Contains($"token id {beyond}"));
        Assert.That((await session.GenerateAsync(new[] { 1, 2 }, new() { MaxTokens = 4 })).TokenIds, Has.All.LessThan(session.Model.VocabularySize));
    }

    private static JsonElement[] Cases(string file) => [.. JsonDocument.Parse(File.ReadAllBytes(file)).RootElement.GetProperty("cases").EnumerateArray()];

    private static JsonElement Reference(string folder, string property) =>
        JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path(folder, "reference.json"))).RootElement.GetProperty(property);

    /// <summary>What the process has mapped of files with a name like this, where the system tells: on Linux.</summary>
    private static IEnumerable<string> Mappings(string name) =>
        OperatingSystem.IsLinux() ? File.ReadLines("/proc/self/maps").Where(line => line.Contains(name, StringComparison.Ordinal)) : [];

    /// <summary>Fails when the session reports that the model is loaded.</summary>
    private sealed class FailingLog : ILoggerFactory, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new InvalidDataException("the log is full");

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    /// <summary>Keeps the reports in the order in which they are made, on the thread that makes them.</summary>
    private sealed class Recorder(List<LoadProgress> reports, Action<LoadProgress>? onReport = null) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            reports.Add(value);
            onReport?.Invoke(value);
        }
    }
}
