namespace Decart.Inference.Tokenization;

/// <summary>Reads tokenizer.model, SentencePiece's format.</summary>
internal static class SentencePieceFile
{
    public static TokenizerParts Read(string file, TokenizerSettings settings) => throw new ModelLoadException(file, null, $"{settings}");
}
