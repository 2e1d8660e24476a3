namespace Decart.Inference.Benchmarks;

/// <summary>
/// Draws the address ranges of some sequences of a real session: the storyteller continues one beginning in a conversation and a fork of it, and in two requests
/// that begin with the same words; the picture is taken while all are there.
/// </summary>
internal static class KvMapDrawing
{
    private const string Beginning =
        "Once upon a time, in a small village near a big forest, there lived a little fox named Pip. Pip loved to play with his friends by the river. " +
        "One day, Pip found a shiny red ball under an old tree. He was very happy and wanted to show it to everyone in the village. ";

    /// <summary>Runs the session and writes the picture.</summary>
    /// <param name="path">The SVG file to write.</param>
    public static async Task WriteAsync(string path)
    {
        await using LlmSession session = await LlmSession.LoadAsync(GenerationBenchmarks.FindModel(), new() { Paging = PagingMode.Hardware, MaxConcurrentSequences = 8, KvCacheBytes = 3 << 20 });
        GenerationOptions options = new() { Temperature = 0, MaxTokens = 400, IgnoreEndOfText = true };
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync(Beginning + "His friend the rabbit said", options with { MaxTokens = 20 });
        using Conversation fork = conversation.Fork();
        await fork.GenerateAsync(" But then", options with { MaxTokens = 50 });
        await using IAsyncEnumerator<GenerationUpdate> first = await BeginAsync(session, Beginning + "A big bear came", options, tokens: 30);
        await using IAsyncEnumerator<GenerationUpdate> second = await BeginAsync(session, Beginning + "It rolled away", options, tokens: 1);
        while (session.GetStatistics().RunningSequences > 0) await Task.Delay(1); // until both wait for their readers
        KvMap map = await session.GetKvMapAsync();
        string[] names = ["request “… A big bear came”", "request “… It rolled away”", "conversation", "its fork"];
        await File.WriteAllTextAsync(path, new KvMapPicture(map, names).Draw());
        Console.WriteLine($"{path}: {map.Sequences.Count} sequences, {map.Pages} pages of {map.PageBytes} bytes.");
    }

    /// <summary>Reads some tokens of a request and no more: it waits, with its pages, for its reader.</summary>
    private static async Task<IAsyncEnumerator<GenerationUpdate>> BeginAsync(LlmSession session, string prompt, GenerationOptions options, int tokens)
    {
        IAsyncEnumerator<GenerationUpdate> updates = session.StreamAsync(prompt, options).GetAsyncEnumerator();
        for (int i = 0; i < tokens; i++) await updates.MoveNextAsync();
        return updates;
    }
}
