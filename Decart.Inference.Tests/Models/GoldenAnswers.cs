using System.Text.Json;

namespace Decart.Inference.Tests.Models;

/// <summary>The greedy continuation of a prompt by a trained model, computed in float64, and some of the logits after the prompt.</summary>
/// <param name="Name">For the test's name.</param>
/// <param name="Checkpoint">The folder or GGUF file.</param>
/// <param name="Prompt">The prompt's token ids.</param>
/// <param name="Greedy">The continuation.</param>
/// <param name="LogitIds">Tokens whose logits are known.</param>
/// <param name="Logits">Their logits.</param>
internal sealed record GoldenAnswers(string Name, string Checkpoint, int[] Prompt, int[] Greedy, int[] LogitIds, float[] Logits)
{
    public static IEnumerable<GoldenAnswers> All() => Fixtures.Folder is null ? [] : [.. Stories260k(), .. TinyStories(), .. GgufVariants(), .. SmolLm2()];

    public static IEnumerable<TestCaseData> Trained() =>
        Fixtures.Folder is null ? [] : Devices.Names.SelectMany(device => Cases(device, [.. Stories260k(), .. TinyStories()]));

    /// <remarks>The reference kernels know no block formats.</remarks>
    public static IEnumerable<TestCaseData> Gguf() => Fixtures.Folder is null ? [] : Cases(Devices.Cpu, [.. GgufVariants(), .. SmolLm2()]);

    private static IEnumerable<TestCaseData> Cases(string device, IEnumerable<GoldenAnswers> all) =>
        all.Select(answers => new TestCaseData(device, answers).SetArgDisplayNames(device, answers.Name));

    private static IEnumerable<GoldenAnswers> Stories260k()
    {
        foreach (JsonElement item in Cases("real", "golden", "stories260k.json"))
        {
            int[] prompt = Ids(item, "prompt_ids");
            int[] greedy = [.. Ids(item, "ids").Skip(prompt.Length)];
            yield return FirstLogits($"stories260k {prompt.Length}", Fixtures.Path("real", "stories260k"), prompt, greedy, item);
        }
    }

    private static IEnumerable<GoldenAnswers> TinyStories()
    {
        foreach (JsonElement item in Cases("real", "golden", "tinystories-656k.json"))
        {
            string name = $"tinystories-656k {item.GetProperty("prompt").GetString()}";
            yield return FirstLogits(name, Fixtures.Path("real", "tinystories-656k"), Ids(item, "prompt_ids"), Ids(item, "generated_ids"), item);
        }
    }

    private static IEnumerable<GoldenAnswers> GgufVariants()
    {
        foreach (JsonProperty variant in Read("gguf", "tinystories-656k.gguf-variants.json").GetProperty("variants").EnumerateObject())
        {
            string file = Fixtures.Path("gguf", variant.Value.GetProperty("file").GetString()!);
            if (!File.Exists(file)) continue;
            foreach (JsonElement item in variant.Value.GetProperty("cases").EnumerateArray())
            {
                string name = $"{variant.Name} {item.GetProperty("prompt").GetString()}";
                yield return FirstLogits(name, file, Ids(item, "prompt_ids"), Ids(item, "generated_ids"), item);
            }
        }
    }

    private static IEnumerable<GoldenAnswers> SmolLm2()
    {
        int number = 0;
        foreach (JsonElement item in Cases("gguf", "SmolLM2-135M-Instruct-Q4_1.json"))
        {
            JsonElement last = item.GetProperty("logits_last");
            yield return new GoldenAnswers(
                $"SmolLM2 {number++}", Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"), Ids(item, "prompt_ids"), Ids(item, "greedy"),
                Ids(last, "top_ids"), last.GetProperty("top_values").Deserialize<float[]>()!);
        }
    }

    private static GoldenAnswers FirstLogits(string name, string checkpoint, int[] prompt, int[] greedy, JsonElement item)
    {
        float[] logits = item.GetProperty("last_prompt_logits_first8").Deserialize<float[]>()!;
        return new GoldenAnswers(name, checkpoint, prompt, greedy, [.. Enumerable.Range(0, logits.Length)], logits);
    }

    private static JsonElement Read(params string[] path) => JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path(path))).RootElement;

    private static JsonElement.ArrayEnumerator Cases(params string[] path) => Read(path).GetProperty("cases").EnumerateArray();

    private static int[] Ids(JsonElement item, string property) => item.GetProperty(property).Deserialize<int[]>()!;
}
