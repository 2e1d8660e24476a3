using System.Text.Json.Serialization.Metadata;
using Server.Contracts;

namespace Server.Http;

/// <summary>What every request goes through before an endpoint answers it.</summary>
internal sealed class Api(ApiKeys keys, BodyLimits bodies, RequestLimits limits, ModelSource models)
{
    /// <summary>An endpoint that answers anybody who has a key.</summary>
    public RequestDelegate Get(Func<HttpContext, Task> answer) => async context =>
    {
        keys.Identify(context.Request);
        await answer(context);
    };

    /// <summary>An endpoint that says something about the model; it waits until the model is loaded.</summary>
    public RequestDelegate Get(Func<HttpContext, ServedModel, Task> answer) => Get(async context => await answer(context, await models.GetAsync(context.RequestAborted)));

    /// <summary>An endpoint that computes: it takes a body of JSON that names the model, and counts towards the caller's limit.</summary>
    /// <remarks>
    /// The body is read before the request counts, so that callers who send only half of one take nobody's place; what they have sent counts towards a bound of its own.
    /// </remarks>
    public RequestDelegate Post<T>(JsonTypeInfo<T> type, Func<HttpContext, ServedModel, T, Task> answer) where T : IModelRequest => async context =>
    {
        int caller = keys.Identify(context.Request);
        T body;
        using (BodyLimits.Share share = bodies.Enter(caller)) body = await JsonBody.ReadAsync(context, type, share, bodies.Patience);
        using RequestLimits.Slot slot = limits.Enter(caller);
        ServedModel model = await models.GetAsync(context.RequestAborted);
        model.RequireName(body.Model);
        await answer(context, model, body);
    };
}
