using System.CommandLine;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Benchmarks.Throughput;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>The command line of <see cref="ThroughputBenchmark"/>.</summary>
internal static class ThroughputCommand
{
    public static Command Create(IReadOnlyList<string> arguments)
    {
        ThroughputOptions otherwise = new() { Model = "" };
        Argument<string> model = new("model") { Description = "A folder or a .gguf file, or the name of a shape that is here; a folder with nothing but config.json has random weights" };
        Option<Device> device = Arguments.Device();
        Option<int?> threads = Arguments.Threads();
        Option<int> requests = Arguments.Count("--requests", "Requests, submitted at once", otherwise.Requests);
        Option<LengthRange> prompt = Lengths("--prompt", "Tokens of a prompt: 128, or 64-512 to draw from", otherwise.Prompt);
        Option<LengthRange> answer = Lengths("--output", "Tokens of an answer: 128, or 64-512 to draw from", otherwise.Output);
        Option<int[]> concurrencies = Arguments.Counts("--concurrency", "Numbers of requests computed together; each is tried", otherwise.Concurrencies);
        Option<int[]> batchTokens = Arguments.Counts("--batch-tokens", "Most tokens of a step; each is tried with each concurrency; the session's default unless given", otherwise.BatchTokens);
        Option<PagingMode> paging = new("--paging") { Description = "How keys and values are found" };
        Option<long?> kvBytes = new("--kv-bytes") { Description = "Memory for keys and values; the session's default unless given" };
        Option<int> rounds = Arguments.Count("--rounds", "Rounds of which the median one is reported", otherwise.Rounds);
        Option<double?> price = new("--price") { Description = "Dollars that the device costs an hour" };
        Option<int> check = new("--check") { Description = "Requests whose tokens are compared with those that they get alone", DefaultValueFactory = _ => otherwise.Checked };
        Option<int> seed = new("--seed") { Description = "Chooses lengths and prompts", DefaultValueFactory = _ => otherwise.Seed };
        Option<WeightFormat?> weights = Arguments.Weights();
        Option<KvCacheType> kvCache = Arguments.KvCache();
        Option<bool> eightBitActivations = Arguments.EightBitActivations();
        Option<bool?> packed = Arguments.Packed();
        Option<bool> partedSums = Arguments.PartedSums();
        Option<AnswerForm[]> forms = Arguments.Several("--response-format", "What answers must look like, text, json or schema; each is tried with each concurrency", otherwise.Forms);
        Option<float> temperature = new("--temperature") { Description = "The temperature of answers, each of which has a seed of its own", DefaultValueFactory = _ => otherwise.Temperature };
        Option<string?> tokenizer = new("--tokenizer") { Description = "A folder whose tokenizer is used with random weights; a made-up vocabulary where a form needs one unless given" };
        ReportOptions report = new("throughput", model);
        Command command = new("throughput", "Requests through a session: tokens a second, waiting times, energy and price.")
            { model, device, threads, requests, prompt, answer, concurrencies, batchTokens, paging, kvBytes, rounds, price, check, seed, weights, eightBitActivations, kvCache, packed, partedSums, forms, temperature, tokenizer };
        report.AddTo(command);
        command.SetAction(async (parsed, _) =>
        {
            ThroughputOptions options = new()
            {
                Model = Arguments.Model(parsed.GetRequiredValue(model)),
                Device = parsed.GetValue(device),
                Threads = parsed.GetValue(threads),
                Requests = parsed.GetValue(requests),
                Prompt = parsed.GetValue(prompt),
                Output = parsed.GetValue(answer),
                Concurrencies = parsed.GetRequiredValue(concurrencies),
                BatchTokens = parsed.GetRequiredValue(batchTokens),
                Paging = parsed.GetValue(paging),
                KvCacheBytes = parsed.GetValue(kvBytes),
                Rounds = parsed.GetValue(rounds),
                PricePerHour = parsed.GetValue(price),
                Checked = parsed.GetValue(check),
                Seed = parsed.GetValue(seed),
                Weights = parsed.GetValue(weights),
                KvCacheType = parsed.GetValue(kvCache),
                EightBitActivations = parsed.GetValue(eightBitActivations),
                Forms = parsed.GetRequiredValue(forms),
                Temperature = parsed.GetValue(temperature),
                Tokenizer = parsed.GetValue(tokenizer),
            };
            Arguments.SetSwitches(parsed.GetValue(packed), parsed.GetValue(partedSums));
            ReportFiles? files = report.Files(parsed);
            TextWriter output = parsed.InvocationConfiguration.Output;
            ThroughputReport measured = await new ThroughputBenchmark(options, arguments, output).RunAsync(files).ConfigureAwait(false);
            await output.WriteLineAsync(files?.TryDraw(() => ThroughputPlot.Draw([measured]))).ConfigureAwait(false);
            return measured.Rows.Any(row => row.Different > 0) ? 1 : 0;
        });
        return command;
    }

    private static Option<LengthRange> Lengths(string name, string description, LengthRange otherwise) => new(name)
    {
        Description = description,
        DefaultValueFactory = _ => otherwise,
        CustomParser = result =>
        {
            if (!LengthRange.TryParse(result.Tokens[0].Value, out LengthRange range)) result.AddError($"{name} takes a length from 1, or two with a dash between.");
            return range;
        },
    };
}
