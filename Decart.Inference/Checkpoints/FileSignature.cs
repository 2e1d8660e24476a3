namespace Decart.Inference.Checkpoints;

/// <summary>Recognises by its first bytes what a file is that is not what was expected.</summary>
internal static class FileSignature
{
    public static bool IsLfsPointer(ReadOnlySpan<byte> beginning) => beginning.StartsWith("version https://git-lfs"u8);

    /// <summary>What the bytes are the beginning of, with an article; null when they are not known.</summary>
    public static string? Describe(ReadOnlySpan<byte> beginning)
    {
        ReadOnlySpan<byte> text = beginning.TrimStart(" \t\r\n"u8);
        if (beginning.StartsWith("GGUF"u8)) return "a GGUF file";
        if (beginning.StartsWith("ggjt"u8) || beginning.StartsWith("tjgg"u8) || beginning.StartsWith("lmgg"u8))
            return "a GGML file from before GGUF, which must be converted";
        if (beginning.StartsWith("PK\x03\x04"u8)) return "a ZIP archive, such as PyTorch writes";
        if (beginning is [0x89, (byte)'H', (byte)'D', (byte)'F', ..]) return "an HDF5 file";
        if (beginning is [0x80, 2 or 3 or 4 or 5, ..]) return "a pickle, such as PyTorch writes";
        if (beginning is [0x1F, 0x8B, ..]) return "a gzip archive";
        if (beginning.Length > 9 && beginning[8] == '{' && beginning[6] == 0 && beginning[7] == 0) return "a safetensors file";
        if (text.StartsWith("<!DOCTYPE"u8) || text.StartsWith("<!doctype"u8) || text.StartsWith("<html"u8)) return "an HTML page, such as a server sends instead of a file";
        if (text.StartsWith("{"u8)) return "JSON";
        return null;
    }
}
