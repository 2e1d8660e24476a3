namespace Decart.Inference;

/// <summary>Where a chat template comes from.</summary>
public enum ChatTemplateSource
{
    /// <summary>The checkpoint brings it.</summary>
    Checkpoint,

    /// <summary>
    /// The checkpoint brings none: it is the one that models of its family were trained with, recognised by architecture and vocabulary. A model that was never
    /// trained for chats may be of the family too.
    /// </summary>
    Family,

    /// <summary>The application gave it.</summary>
    Application,
}
