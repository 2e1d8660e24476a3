using Decart.Inference;

namespace Soak;

/// <summary>Some requests with the answers that each got when nothing else was running.</summary>
internal sealed class KnownAnswers
{
    private const int Count = 40;

    private readonly List<(Request Request, string Text)> _answers = [];

    private KnownAnswers()
    {
    }

    public static async Task<KnownAnswers> AskAloneAsync(LlmSession session, Random random)
    {
        var known = new KnownAnswers();
        for (int i = 0; i < Count; i++)
        {
            Request request = Request.Draw(random);
            GenerationResult answer = await session.GenerateAsync(request.Prompt, request.Options);
            known._answers.Add((request, answer.Text));
        }
        return known;
    }

    public (Request Request, string Text) Draw(Random random) => _answers[random.Next(_answers.Count)];
}
