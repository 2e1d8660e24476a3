using Decart.Inference.Grammars.Automata;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Grammars;

/// <summary>The tokens that texts of grammars are made of, and those that end them. Immutable.</summary>
internal sealed class GrammarVocabulary
{
    /// <param name="tokenizer">Whose tokens they are.</param>
    /// <param name="modelVocabularySize">Columns of the model's logits.</param>
    /// <param name="endTokens">The tokens that end the model's texts.</param>
    public GrammarVocabulary(ITokenizer tokenizer, int modelVocabularySize, IReadOnlySet<int> endTokens)
    {
        var bytes = new ReadOnlyMemory<byte>[Math.Min(tokenizer.VocabularySize, modelVocabularySize)];
        HashSet<int> control = [.. tokenizer.SpecialTokens.Values, .. (tokenizer as TextTokenizer)?.ControlTokens ?? [], .. endTokens];
        for (int id = 0; id < bytes.Length; id++)
        {
            if (!control.Contains(id)) bytes[id] = tokenizer.GetTokenBytes(id);
        }
        Bytes = bytes;
        EndTokens = [.. endTokens.Where(id => id < modelVocabularySize).Order()];
        Trie = new TokenTrie(modelVocabularySize, bytes);
    }

    /// <summary>The bytes of each token; empty for those that no text has.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Bytes { get; }

    public IReadOnlyList<int> EndTokens { get; }

    public TokenTrie Trie { get; }
}
