using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>A session that makes its own chat clients, because it does not know its chat template yet.</summary>
internal interface IChatClientSource
{
    /// <param name="template">How conversations are written; null for the model's own template.</param>
    IChatClient CreateChatClient(ChatTemplate? template);
}
