using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary><c>POST /v1/responses</c>. Nothing is stored: each request brings its whole conversation.</summary>
internal sealed class ResponsesEndpoint(IOptions<ServerOptions> options)
{
    public async Task AnswerAsync(HttpContext context, ServedModel model, ResponseRequest request)
    {
        IChatClient client = model.RequireChat();
        ChatCall call = ResponseReader.Read(request, model, options.Value);
        await using Choices<ChatResponseUpdate> choices = await call.BeginAsync(client, count: 1, error => ResponseReader.Locate(error, request), context.RequestAborted);
        ResponseBuilder builder = new(request, model);
        if (request.Stream is true)
        {
            await StreamAsync(context, choices, builder);
            return;
        }
        await foreach ((_, ChatResponseUpdate update) in choices.ReadAllAsync()) builder.Append(update);
        await JsonBody.WriteAsync(context, builder.Response, ServerJson.Default.Response);
    }

    private static async Task StreamAsync(HttpContext context, Choices<ChatResponseUpdate> choices, ResponseBuilder builder)
    {
        EventStream events = await EventStream.BeginAsync(context);
        await events.RunAsync(
            async () =>
            {
                await SendAsync();
                await foreach ((_, ChatResponseUpdate update) in choices.ReadAllAsync())
                {
                    builder.Append(update);
                    await SendAsync();
                }
            },
            error =>
            {
                builder.Fail(error);
                return SendAsync();
            });

        async Task SendAsync()
        {
            foreach (ResponseEvent next in builder.TakeEvents()) await events.SendAsync(next, ServerJson.Default.ResponseEvent, next.Type);
        }
    }
}
