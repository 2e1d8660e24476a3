using Decart.Inference;

namespace Soak;

/// <summary>A request drawn at random, always with a seed: its answer is the same whenever it is asked.</summary>
internal sealed record Request(string Prompt, GenerationOptions Options)
{
    private static readonly string[] Beginnings =
    [
        "Once upon a time, in a small village near a big forest, there lived a little fox named Pip.",
        "One morning the clever girl went to the river with her brother.",
        "The old bear was sad, because nobody wanted to play with him.",
        "It was raining, and",
    ];

    private static readonly string[] Sentences = [" He was happy.", " She ran home.", " They looked at the sky.", " A bird came.", " \"Come with me!\" said the rabbit."];

    /// <summary>Requests begin in few ways, so that prefixes are shared, and go on in many.</summary>
    public static Request Draw(Random random) => new(
        Beginnings[random.Next(Beginnings.Length)] + string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => Sentences[random.Next(Sentences.Length)])),
        new GenerationOptions
        {
            Seed = random.Next(),
            MaxTokens = 1 + random.Next(120),
            Temperature = random.Next(3) * 0.5f,
            TopP = random.Next(2) == 0 ? 1 : 0.9f,
            RepetitionPenalty = random.Next(3) == 0 ? 1.1f : 1,
            StopSequences = random.Next(4) == 0 ? ["said", "\n"] : [],
            IgnoreEndOfText = random.Next(2) == 0,
            Priority = random.Next(10) == 0 ? 1 : 0,
        });
}
