using System.Text;
using Decart.Inference.Grammars;
using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Grammars;

/// <summary>Draws texts from a grammar: each token is any of those that the mask leaves, as a model at an endless temperature would choose.</summary>
internal sealed class GrammarSampler(ITokenizer tokenizer, int? vocabularySize = null)
{
    private readonly GrammarVocabulary _vocabulary =
        new(tokenizer, vocabularySize ?? tokenizer.VocabularySize, new HashSet<int>(tokenizer.EosTokenIds));

    public CompiledGrammar Compile(Grammar grammar) => new(grammar, _vocabulary);

    /// <summary>A text of at most some tokens more than its grammar needs; from each place on the way it can be completed in the tokens that were promised.</summary>
    public string Draw(Grammar grammar, Random random, int moreTokens)
    {
        GrammarMatcher matcher = new(Compile(grammar), [], ignoresEnd: false);
        List<byte> text = [];
        for (int left = matcher.TokensToComplete + moreTokens; left > 0; left--)
        {
            int token = Choose(matcher.Next(left), random);
            if (tokenizer.EosTokenIds.Contains(token)) break;
            text.AddRange(tokenizer.GetTokenBytes(token).Span);
            matcher.Accept(token);
            if (matcher.TokensToComplete > 0) Assert.That(matcher.Next(matcher.TokensToComplete).Words.ContainsAnyExcept(0u), "a promise that is not kept");
        }
        return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString([.. text]);
    }

    private static int Choose(TokenMask mask, Random random)
    {
        List<int> allowed = [.. Enumerable.Range(0, mask.Words.Length * 32).Where(mask.Allows)];
        Assert.That(allowed, Is.Not.Empty, "a dead end");
        return allowed[random.Next(allowed.Count)];
    }
}
