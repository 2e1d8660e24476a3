using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal static class ModelsEndpoint
{
    public static Task ListAsync(HttpContext context, ServedModel model) => JsonBody.WriteAsync(context, new ModelList("list", [Describe(model)]), ServerJson.Default.ModelList);

    public static Task DescribeAsync(HttpContext context, ServedModel model)
    {
        string id = context.GetRouteValue("id") as string ?? "";
        model.RequireName(id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase)); // the one escape that a path keeps
        return JsonBody.WriteAsync(context, Describe(model), ServerJson.Default.ModelDescription);
    }

    private static ModelDescription Describe(ServedModel model)
    {
        Decart.Inference.ModelInfo info = model.Session.Model;
        return new ModelDescription(
            model.Id, "model", model.Loaded.ToUnixTimeSeconds(), "decart.inference", info.Architecture, info.ContextLength, info.Device.ToString(), model.Chat is not null, model.SupportsTools);
    }
}
