namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>What an answer must look like.</summary>
internal enum AnswerForm
{
    /// <summary>Any tokens.</summary>
    Text,

    /// <summary>JSON objects, one after the other.</summary>
    Json,

    /// <summary>JSON objects of a schema with 100 optional properties, one after the other.</summary>
    Schema,
}

/// <summary>The grammars of <see cref="AnswerForm"/>: texts of them can always go on, so that requests are as long with them as without.</summary>
internal static class AnswerForms
{
    public static Grammar? Grammar(this AnswerForm form) => form switch
    {
        AnswerForm.Json => Lines(Inference.Grammar.JsonObject()),
        AnswerForm.Schema => Lines(Inference.Grammar.JsonSchema(PropertySchema.Create(areRequired: false).ToJsonString())),
        _ => null,
    };

    private static Grammar Lines(Grammar line) => Inference.Grammar.Repeat(Inference.Grammar.Sequence(line, Inference.Grammar.Literal("\n")), min: 1);
}
