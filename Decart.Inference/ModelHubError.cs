using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>Why a model could not be downloaded.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ModelHubError>))]
public enum ModelHubError
{
    /// <summary>The Hub cannot be reached, or the connection breaks again and again.</summary>
    Unreachable,

    /// <summary>The Hub has no such model, revision or file, or does not show it without a token that may see it.</summary>
    NotFound,

    /// <summary>The token is wrong or may not read the model.</summary>
    Unauthorized,

    /// <summary>The model's authors ask every user to accept their terms first.</summary>
    Gated,

    /// <summary>The Hub refuses further requests for a while.</summary>
    RateLimited,

    /// <summary>The Hub answers with an error of its own.</summary>
    ServerFailed,

    /// <summary>The answer is not what the Hub answers with: perhaps a proxy or a wrong mirror answered.</summary>
    InvalidAnswer,

    /// <summary>What was received does not have the size or the hash that the Hub announced.</summary>
    Damaged,

    /// <summary>There is not enough room on the disk.</summary>
    DiskFull,

    /// <summary>The cache's folder cannot be written.</summary>
    CacheUnusable,

    /// <summary>The model is not in the cache, or not whole, and downloading is switched off.</summary>
    NotCached,

    /// <summary>The repository has no weights that can be loaded, or several of which one must be named.</summary>
    NoSuitableFile,
}
