using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>How the keys and values of a sequence are found on their pages. Answers are the same, bit for bit.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PagingMode>))]
public enum PagingMode
{
    /// <summary>Hardware paging where available, otherwise a table.</summary>
    Auto,

    /// <summary>The memory management unit maps each sequence's pages under one range of addresses.</summary>
    Hardware,

    /// <summary>Kernels look up each page in a table.</summary>
    Table,
}
