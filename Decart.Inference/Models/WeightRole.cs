namespace Decart.Inference.Models;

/// <summary>What a matrix of a decoder does.</summary>
internal enum WeightRole
{
    Embedding,

    /// <summary>Turns hidden states into logits.</summary>
    Output,

    Query,

    Key,

    Value,

    /// <summary>Query, key and value in one matrix.</summary>
    QueryKeyValue,

    AttentionOutput,

    /// <summary>Gate or up or both, of an expert or of a whole layer.</summary>
    GateUp,

    /// <summary>Of an expert or of a whole layer.</summary>
    Down,

    /// <summary>Chooses experts.</summary>
    Router,
}
