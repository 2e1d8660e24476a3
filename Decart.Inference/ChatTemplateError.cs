namespace Decart.Inference;

/// <summary>What went wrong with a chat template.</summary>
public enum ChatTemplateError
{
    /// <summary>The template is not written in the language of chat templates, or uses a part of it that is not supported.</summary>
    Syntax,

    /// <summary>The template does something impossible with the messages that it was given, such as adding a number to a text.</summary>
    Rendering,

    /// <summary>The template itself refuses the messages (<c>raise_exception</c>), such as roles that do not alternate.</summary>
    Refused,

    /// <summary>The template takes more steps, goes deeper or writes more than any template should.</summary>
    LimitExceeded,
}
