using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Decart.Inference.Hub;

/// <summary>
/// The hash that names a file's content, on the Hub and in the cache: SHA-256 for files in large-file storage, git's own (SHA-1 of a header and the content) for the others.
/// </summary>
/// <param name="Hex">64 or 40 lower-case hexadecimal digits.</param>
internal readonly record struct BlobHash(string Hex)
{
    private const int GitLength = 40, Sha256Length = 64;

    private bool IsGit => Hex.Length == GitLength;

    /// <summary>The hash that a text is, null if it is none. ETags stand in quotation marks, perhaps with W/ before them.</summary>
    public static BlobHash? TryParse(string? text)
    {
        if (text is null) return null;
        string hex = text.StartsWith("W/", StringComparison.Ordinal) ? text[2..] : text;
        hex = hex.Trim('"');
        return hex.Length is GitLength or Sha256Length && hex.All(char.IsAsciiHexDigitLower) ? new BlobHash(hex) : null;
    }

    /// <summary>Begins to compute the hash of a content of a known size, for comparison.</summary>
    public IncrementalHash Begin(long size)
    {
        if (!IsGit) return IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1); // git's choice: it names contents, and keeps nothing secret
        hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {size}\0")));
        return hash;
    }

    public override string ToString() => IsGit ? $"git {Hex}" : $"SHA-256 {Hex}";
}
