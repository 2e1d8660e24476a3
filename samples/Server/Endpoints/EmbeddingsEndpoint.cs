using Decart.Inference;
using Microsoft.Extensions.Options;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary><c>POST /v1/embeddings</c>.</summary>
internal sealed class EmbeddingsEndpoint(IOptions<ServerOptions> options)
{
    public async Task AnswerAsync(HttpContext context, ServedModel model, EmbeddingRequest request)
    {
        if (request.EncodingFormat is not (null or "float" or "base64")) throw new ApiException("\"encoding_format\" must be float or base64.", "encoding_format");
        Prompt[] inputs = [.. PromptReader.Read(request.Input, "input", options.Value.MaxInputs, model.Session.Model.VocabularySize).Select(model.Encode)];
        float[][] embeddings = new float[inputs.Length][];
        EmbeddingOptions embedding = new() { Dimensions = request.Dimensions };
        ParallelOptions together = new() { MaxDegreeOfParallelism = model.MostRunning, CancellationToken = context.RequestAborted };
        await Parallel.ForAsync(0, inputs.Length, together, async (index, cancellation) => embeddings[index] = await model.Session.EmbedAsync(inputs[index], embedding, cancellation));
        bool isBase64 = request.EncodingFormat == "base64";
        int tokens = inputs.Sum(input => input.TokenIds.Length);
        EmbeddingList list = new("list", [.. embeddings.Select((values, index) => new EmbeddingData("embedding", index, new EmbeddingVector(values, isBase64)))], model.Id, new EmbeddingUsage(tokens, tokens));
        await JsonBody.WriteAsync(context, list, ServerJson.Default.EmbeddingList);
    }
}
