namespace Decart.Inference.Engine;

/// <summary>What a sequence reads of each of its tokens.</summary>
internal enum RowOutput
{
    /// <summary>Nothing: only what follows the last token counts.</summary>
    None,

    /// <summary>The logits after it.</summary>
    Logits,

    /// <summary>Its hidden state after the final norm.</summary>
    HiddenStates,
}
