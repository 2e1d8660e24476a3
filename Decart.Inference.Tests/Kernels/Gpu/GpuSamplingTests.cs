using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Sampling;
using Decart.Inference.Tests.Sampling;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Tokens that a device chooses beside the reference and the host's sampler.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuSamplingTests(string device)
{
    /// <summary>How far float32 may be from the reference's comparisons.</summary>
    private const double Rounding = 2e-5;

    private const int Unwritten = int.MinValue;

    private static readonly GenerationOptions[] Settings =
    [
        new() { Temperature = 0 },
        new(),
        new() { Temperature = 0.4f },
        new() { Temperature = 3 },
        new() { TopK = 1 },
        new() { TopK = 5 },
        new() { TopK = 40, Temperature = 2 },
        new() { TopK = 700, Temperature = 4 },
        new() { TopP = 0.02f },
        new() { TopP = 0.9f },
        new() { TopP = 0.99f, Temperature = 5 },
        new() { MinP = 0.05f },
        new() { MinP = 1 },
        new() { TopK = 30, TopP = 0.8f },
        new() { TopK = 30, TopP = 0.95f, MinP = 0.1f, Temperature = 1.5f },
        new() { TopP = 0.95f, MinP = 0.02f },
    ];

    private static readonly GenerationOptions[] Changes =
    [
        new() { RepetitionPenalty = 1.3f },
        new() { RepetitionPenalty = 1.3f, Temperature = 0 },
        new() { FrequencyPenalty = 0.7f },
        new() { PresencePenalty = -1.5f },
        new() { LogitBias = new Dictionary<int, float> { [0] = 4, [5] = float.NegativeInfinity, [6] = -2 } },
        new() { LogitBias = new Dictionary<int, float> { [3] = 50 }, Temperature = 0 },
        new()
        {
            RepetitionPenalty = 0.8f,
            FrequencyPenalty = 0.5f,
            PresencePenalty = 0.3f,
            LogitBias = new Dictionary<int, float> { [1] = -3, [2] = 5 },
            Temperature = 0.8f,
            TopK = 20,
            TopP = 0.9f,
            MinP = 0.05f,
        },
    ];

    private static readonly GenerationOptions[] Distributions =
        [new(), new() { TopK = 12 }, new() { TopP = 0.85f, Temperature = 2 }, new() { TopK = 40, TopP = 0.9f, MinP = 0.05f, Temperature = 1.5f }];

    private static readonly GpuKernel<SamplingArguments>[] SmallGroups =
        [new(GpuSampling.Kernel.Entry, groupSize: 32), new(GpuSampling.Kernel.Entry, groupSize: 128)];

    /// <summary>For all tests, so that a GPU compiles the kernel once; the second one has larger groups if it is emulated.</summary>
    private IGpuDevice _device = null!, _large = null!;

    [OneTimeSetUp]
    public void Open() => (_device, _large) = (GpuDevices.Create(device), GpuDevices.Create(device, tensorCores: true));

    [OneTimeTearDown]
    public void Close()
    {
        _device?.Dispose();
        _large?.Dispose();
    }

    [Test]
    public void Tokens_are_those_of_the_formulae([ValueSource(nameof(Settings))] GenerationOptions options, [Values(1, 7, 1000, 32003)] int size)
    {
        using GpuSamplingBench bench = new(_device);
        int batch = bench.Scale(size > 1000 ? 3 : 9);
        float[][] rows = [.. Enumerable.Range(0, batch).Select(row => GpuSamplingBench.RandomLogits(size, seed: row))];
        SamplingParameters parameters = Resolve(options, seed: 77);

        int[] tokens = bench.Choose(rows, parameters);

        for (int row = 0; row < batch; row++)
        {
            (int token, double margin) = ReferenceSampler.Choose(rows[row], parameters, [], [], null, Philox.NextDouble(77, (ulong)row));
            if (margin > Rounding) Assert.That(tokens[row], Is.EqualTo(token), $"row {row}");
            else Assert.That(tokens[row], Is.InRange(0, size - 1), $"row {row}");
        }
    }

    [Test]
    public void Penalties_bias_and_mask_change_logits_as_the_formulae_say(
        [ValueSource(nameof(Changes))] GenerationOptions options, [Values(7, 1000, 32003)] int size, [Values] bool masked)
    {
        using GpuSamplingBench bench = new(_device);
        Random random = new(size);
        int[] prompt = [.. Enumerable.Range(0, 20).Select(_ => random.Next(size))], completion = [];
        bool[]? allowed = masked ? [.. Enumerable.Range(0, size).Select(_ => random.Next(3) > 0)] : null;
        long mask = masked ? bench.Send(Bits(allowed!)).Address : 0;
        SamplingParameters parameters = Resolve(options, seed: 5);
        GpuSequenceSampler sampler = bench.SequenceSampler(parameters, prompt, size);

        for (int i = 0; i < 6; i++)
        {
            float[] logits = GpuSamplingBench.RandomLogits(size, seed: i / 3);
            int token = Launch(bench, bench.Logits(logits), [sampler.Row with { Mask = mask, Index = i }])[0];

            (int expected, double margin) = ReferenceSampler.Choose(logits, parameters, prompt, completion, allowed, Philox.NextDouble(5, (ulong)i));
            if (margin > Rounding) Assert.That(token, Is.EqualTo(expected), $"token {i}");
            completion = [.. completion, token];
        }
    }

    [Test]
    public void The_host_would_have_chosen_the_same([Values] bool largeGroups)
    {
        const int Size = 1003;
        using GpuSamplingBench bench = new(largeGroups ? _large : _device);
        Sampler host = new(Size);
        int batch = bench.Scale(largeGroups ? 3 : 41), different = 0, drawn = 0;
        foreach (GenerationOptions options in Settings)
        {
            float[][] rows = [.. Enumerable.Range(0, batch).Select(row => GpuSamplingBench.RandomLogits(Size, drawn + row, spread: 0.5f + (row % 4)))];
            SamplingParameters parameters = Resolve(options, seed: drawn);
            int[] tokens = bench.Choose(rows, parameters, firstIndex: 7);
            int[] expected = [.. rows.Select((logits, row) => host.Sample(logits, parameters, null, 7 + row, out _))];
            if (options.Temperature == 0) Assert.That(tokens, Is.EqualTo(expected));
            different += tokens.Zip(expected).Count(pair => pair.First != pair.Second);
            drawn += batch;
        }
        Assert.That(different, Is.LessThanOrEqualTo(drawn / 1000), $"of {drawn}");
    }

    [Test]
    public void Penalised_requests_give_what_the_host_gives([Values(0f, 1f)] float temperature)
    {
        const int Size = 500;
        using GpuSamplingBench bench = new(_device);
        GenerationOptions options = new()
        {
            Temperature = temperature,
            RepetitionPenalty = 1.2f,
            FrequencyPenalty = 0.4f,
            PresencePenalty = 0.2f,
            LogitBias = new Dictionary<int, float> { [7] = 3, [499] = -1 },
        };
        SamplingParameters parameters = Resolve(options, seed: 3);
        int[] prompt = [1, 2, 3, 3, 499];
        GpuSequenceSampler sampler = bench.SequenceSampler(parameters, prompt, Size);
        Sampler host = new(Size);
        TokenCounts counts = new(prompt);
        for (int i = 0; i < 30; i++)
        {
            float[] logits = GpuSamplingBench.RandomLogits(Size, seed: i % 2);
            int token = bench.Sampler.Sample(bench.Logits(logits), [new SampledRow(0, sampler, i)]).Wait()[0];
            Assert.That(token, Is.EqualTo(host.Sample(logits, parameters, counts, i, out _)), $"token {i}");
            counts.Add(token);
        }
    }

    [TestCaseSource(nameof(Distributions))]
    public void Tokens_are_drawn_with_their_probabilities(GenerationOptions options)
    {
        const int Size = 60, Batch = 300;
        using GpuSamplingBench bench = new(_device);
        int steps = bench.Scale(1);
        float[] logits = GpuSamplingBench.RandomLogits(Size, seed: 8, spread: 2);
        SamplingParameters parameters = Resolve(options, seed: 12345);
        int[] histogram = new int[Size];
        for (int step = 0; step < steps; step++)
        {
            foreach (int token in bench.Choose([.. Enumerable.Repeat(logits, Batch)], parameters, step * Batch)) histogram[token]++;
        }

        const int Points = 20_000;
        double[] expected = new double[Size];
        for (int i = 0; i < Points; i++)
            expected[ReferenceSampler.Choose(logits, parameters, [], [], null, (i + 0.5) / Points).Token] += Batch * steps / (double)Points;
        double chiSquare = 0;
        int freedom = -1;
        foreach ((double mean, int count) in expected.Zip(histogram))
        {
            if (mean < 5) continue;
            chiSquare += (count - mean) * (count - mean) / mean;
            freedom++;
        }
        // Wilson and Hilferty: the cube root of chi-square / k is normal about 1 - 2 / 9k; four deviations.
        double limit = freedom * Math.Pow(1 - (2.0 / (9 * freedom)) + (4 * Math.Sqrt(2.0 / (9 * freedom))), 3);
        Assert.That(chiSquare, Is.LessThan(limit), $"{freedom} degrees of freedom");
        for (int token = 0; token < Size; token++)
        {
            if (expected[token] == 0) Assert.That(histogram[token], Is.LessThanOrEqualTo(1), $"token {token} is cut off or very rare");
        }
    }

    [TestCaseSource(nameof(Distributions))]
    public void A_token_depends_on_neither_its_neighbours_nor_the_size_of_the_group(GenerationOptions options)
    {
        const int Size = 4099;
        using GpuSamplingBench bench = new(_large);
        float[][] rows = [.. Enumerable.Range(0, 5).Select(row => GpuSamplingBench.RandomLogits(Size, seed: row, spread: row % 3 == 0 ? 0.1f : row))];
        SamplingParameters parameters = Resolve(options, seed: 2);
        int[] together = bench.Choose(rows, parameters);
        GpuSequenceSampler sampler = bench.SequenceSampler(parameters, [], Size);
        for (int row = 0; row < rows.Length; row++)
        {
            foreach (GpuKernel<SamplingArguments> kernel in SmallGroups)
            {
                int alone = Launch(bench, bench.Logits(rows[row]), [sampler.Row with { Index = row }], kernel)[0];
                Assert.That(alone, Is.EqualTo(together[row]), $"row {row}, groups of {kernel.GroupSize}");
            }
        }
    }

    [Test]
    public void Among_equals_the_lowest_ids_stay([Values(1, 100, 2600)] int kept)
    {
        const int Size = 3001, Batch = 30;
        using GpuSamplingBench bench = new(_device);
        float[] logits = new float[Size];
        for (int i = 0; i < Size; i++) logits[i] = i % 2 == 0 ? 0f : -0f;
        float topP = kept - 0.5f;
        GenerationOptions[] settings = [new() { TopK = kept }, new() { TopP = topP / Size }, new() { TopK = kept + 50, TopP = topP / (kept + 50) }];
        foreach (GenerationOptions options in settings)
        {
            int[] tokens = bench.Choose([.. Enumerable.Repeat(logits, Batch)], Resolve(options, seed: 4));
            for (int i = 0; i < Batch; i++) Assert.That(tokens[i], Is.EqualTo((int)(Philox.NextDouble(4, (ulong)i) * kept)), $"token {i} of {options}");
        }
    }

    [Test]
    public void Greedy_takes_the_lowest_of_equals()
    {
        using GpuSamplingBench bench = new(_device);
        float[] high = new float[100], zeros = new float[100];
        high[70] = high[30] = high[90] = 5;
        Array.Fill(zeros, -1);
        zeros[17] = -0f;
        zeros[40] = 0f;
        int[] tokens = bench.Choose([high, zeros, [.. high.Select(logit => logit - 100)]], Resolve(new() { Temperature = 0 }, 1));
        Assert.That(tokens, Is.EqualTo(new[] { 30, 17, 30 }));
    }

    [TestCase(float.Epsilon)]
    [TestCase(1e-30f)]
    [TestCase(float.MaxValue)]
    public void Extreme_temperatures_stay_finite(float temperature)
    {
        using GpuSamplingBench bench = new(_device);
        float[] logits = [1, 3, 2, -float.MaxValue, float.NegativeInfinity];
        foreach (GenerationOptions options in (GenerationOptions[])[new(), new() { TopP = 0.5f }, new() { TopK = 3 }, new() { MinP = 0.5f }])
        {
            int[] tokens = bench.Choose([.. Enumerable.Repeat(logits, 20)], Resolve(options with { Temperature = temperature }, 1));
            Assert.That(tokens, temperature < 1 ? Is.All.EqualTo(1) : Is.All.InRange(0, 3));
        }
    }

    [Test]
    public void What_gives_no_token_is_the_same_error_as_on_the_host()
    {
        const float Infinity = float.PositiveInfinity;
        using GpuSamplingBench bench = new(_device);
        float[] none = [-Infinity, -Infinity, -Infinity];
        float[][] rows = [[1, float.NaN, 2], [1, -float.NaN, Infinity], [1, 2, Infinity], none, [1, 2, 3], [-Infinity, 2, 3]];
        Dictionary<int, float> bias = new() { [0] = -Infinity, [1] = -Infinity, [2] = -Infinity };
        foreach (GenerationOptions options in (GenerationOptions[])[new() { Temperature = 0 }, new() { TopP = 0.9f }, new() { LogitBias = bias }])
        {
            SamplingParameters parameters = Resolve(options, 1);
            int[] tokens = bench.Choose(rows, parameters);
            for (int row = 0; row < rows.Length; row++)
            {
                string expected = HostAnswer(rows[row], parameters, row);
                Assert.That(tokens[row] < 0 ? NoToken.Error(tokens[row]).Message : $"{tokens[row]}", Is.EqualTo(expected), $"row {row}");
            }
        }
        GpuSequenceSampler sampler = bench.SequenceSampler(Resolve(new(), 1), [], 3);
        int masked = Launch(bench, bench.Logits((float[])[1, 2, 3]), [sampler.Row with { Mask = bench.Send(new int[1]).Address }])[0];
        Assert.That(masked, Is.EqualTo(NoToken.NegativeInfinity + NoToken.AfterChanges));
    }

    [Test]
    public void Rows_without_choice_and_what_lies_around_stay_untouched()
    {
        const int Size = 37;
        using GpuSamplingBench bench = new(_device);
        float[][] rows = [.. Enumerable.Range(0, 5).Select(row => GpuSamplingBench.RandomLogits(Size, row))];
        GpuActivations logits = bench.Logits(rows);
        SamplingParameters parameters = Resolve(new() { Temperature = 0, LogitBias = new Dictionary<int, float> { [3] = 100 } }, 1);
        GpuSamplingRow row = bench.SequenceSampler(parameters, [], Size).Row;

        int[] tokens = Launch(bench, logits, [row with { LogitRow = 1 }, row with { LogitRow = 3 }]);

        Assert.That(tokens, Is.EqualTo(new[] { Unwritten, 3, Unwritten, 3, Unwritten }));
        float[] found = new float[5 * logits.Stride];
        bench.Device.Download(logits.Address, MemoryMarshal.AsBytes(found.AsSpan()));
        foreach (int other in (int[])[0, 2, 4]) Assert.That(found.AsSpan(other * logits.Stride, Size).SequenceEqual(rows[other]), $"row {other}");
    }

    [Test]
    public void Each_of_two_steps_that_are_under_way_gives_its_own_tokens()
    {
        const int Size = 100;
        using GpuSamplingBench bench = new(_device);
        GpuSequenceSampler sampler = bench.SequenceSampler(Resolve(new() { Temperature = 0, PresencePenalty = 2 }, 1), [], Size);
        float[] logits = new float[Size];
        (logits[10], logits[20], logits[30], logits[40]) = (9, 8, 7.5f, 7);
        List<SampledTokens> steps = [];
        List<int> tokens = [];
        for (int i = 0; i < 4; i++)
        {
            steps.Add(bench.Sampler.Sample(bench.Logits(logits), [new SampledRow(0, sampler, i)]));
            if (i > 0) tokens.Add(steps[i - 1].Wait()[0]);
        }
        tokens.Add(steps[3].Wait()[0]);
        Assert.That(tokens, Is.EqualTo(new[] { 10, 20, 30, 10 }), "the token of a step is penalised in the next before the host has seen it");
    }

    [Test]
    public void Tables_of_requests_that_have_ended_are_used_again()
    {
        const int Size = 5000;
        using GpuSamplingBench bench = new(_device);
        SamplingParameters parameters = Resolve(new() { Temperature = 0, RepetitionPenalty = 100, LogitBias = new Dictionary<int, float> { [1] = 1 } }, 1);
        long counts, bias;
        using (GpuSequenceSampler first = (GpuSequenceSampler)bench.Sampler.CreateSampler(parameters, [1, 2, 3], Size)!) (counts, bias) = (first.Row.Counts, first.Row.Bias);
        using GpuSequenceSampler second = (GpuSequenceSampler)bench.Sampler.CreateSampler(parameters, [4], Size)!, third = (GpuSequenceSampler)bench.Sampler.CreateSampler(parameters, [], Size)!;

        Assert.That((second.Row.Counts, second.Row.Bias), Is.EqualTo((counts, bias)));
        Assert.That(third.Row.Counts, Is.Not.EqualTo(counts));
        int[] table = new int[Size];
        bench.Device.Download((nint)counts, MemoryMarshal.AsBytes(table.AsSpan()));
        Assert.That(table.Select((count, id) => (count, id)).Where(entry => entry.count != 0), Is.EqualTo(new[] { (1, 4) }));
    }

    [Test]
    public void A_mask_is_sent_when_it_is_another_and_leaves_the_token_that_the_host_would_choose()
    {
        const int Size = 1003;
        using GpuSamplingBench bench = new(_device);
        SamplingParameters parameters = Resolve(new() { Temperature = 1, Grammar = Grammar.Json() }, seed: 11);
        GpuSequenceSampler sampler = bench.SequenceSampler(parameters, [], Size), other = bench.SequenceSampler(parameters with { IsMasked = false }, [], Size);
        Sampler host = new(Size);
        TokenMask[] masks = [.. Enumerable.Range(0, 3).Select(seed => new TokenMask(Bits([.. Enumerable.Range(0, Size).Select(id => (id * 7 + seed) % 5 == 0)])))];
        int[] order = [0, 0, 1, 0, 2, 2];
        for (int i = 0; i < order.Length; i++)
        {
            float[] logits = GpuSamplingBench.RandomLogits(Size, seed: i);
            TokenMask mask = masks[order[i]];
            ReadOnlySpan<int> tokens = bench.Sampler.Sample(bench.Logits(logits, logits), [new SampledRow(0, sampler, i, mask), new SampledRow(1, other, i)]).Wait();
            Assert.That(mask.Allows(tokens[0]));
            Assert.That(tokens[1], Is.EqualTo(host.Sample(logits.AsSpan().ToArray(), parameters with { IsMasked = false }, null, i, out _)));
            Assert.That(tokens[0], Is.EqualTo(host.Sample(logits, parameters, null, i, out _, mask)));
            Assert.That(bench.Sampler.Masks.Sent, Is.EqualTo(order.Take(i + 1).Distinct().Count()));
        }
        Assert.That(() => bench.Sampler.Sample(bench.Logits(new float[Size]), [new SampledRow(0, other, 0, masks[0])]), Throws.ArgumentException);
        Assert.That(() => bench.Sampler.Sample(bench.Logits(new float[Size]), [new SampledRow(0, sampler, 0, new TokenMask([1]))]), Throws.ArgumentException);
    }

    [Test]
    public void Masks_of_many_steps_are_where_their_rows_find_them()
    {
        using GpuSamplingBench bench = new(_device);
        using GpuMasks masks = new(bench.Device);
        Random random = new(5);
        TokenMask[] some = [.. Enumerable.Range(0, 14).Select(_ => Mask(70))];
        for (int step = 0; step < 60; step++)
        {
            int size = step < 40 ? 70 : 200, rows = 1 + random.Next(step < 20 ? 3 : 6);
            if (step == 40) some = [.. Enumerable.Range(0, 14).Select(_ => Mask(size))];
            masks.Begin(rows, size);
            TokenMask[] chosen = [.. Enumerable.Range(0, rows).Select(_ => random.Next(4) == 0 ? Mask(size) : some[random.Next(some.Length)])];
            nint[] places = [.. chosen.Select(masks.AddressOf)];
            if (step % 7 == 3) continue; // the step fails before it sends them
            masks.Send();
            for (int row = 0; row < rows; row++)
            {
                uint[] there = new uint[TokenMask.WordCount(size)];
                bench.Device.Download(places[row], MemoryMarshal.AsBytes(there.AsSpan()));
                Assert.That(there, Is.EqualTo(chosen[row].Words.ToArray()), $"row {row} of step {step}");
            }
        }
        Assert.That(masks.Sent, Is.LessThan(150), "most were there");

        TokenMask Mask(int size) => new([.. Enumerable.Range(0, TokenMask.WordCount(size)).Select(_ => (uint)random.Next())]);
    }

    [Test]
    public void Log_probabilities_change_neither_tokens_nor_logits()
    {
        const int Size = 700, Rows = 6;
        using GpuSamplingBench bench = new(_device);
        GenerationOptions options = new() { Temperature = 1.3f, TopP = 0.95f, FrequencyPenalty = 0.5f, LogitBias = new Dictionary<int, float> { [5] = 2 } };
        float[][] logits = [.. Enumerable.Range(0, Rows).Select(row => GpuSamplingBench.RandomLogits(Size, row))];
        GpuActivations without = bench.Logits(logits), with = bench.Logits(logits);
        GpuSequenceSampler[] plain = [.. logits.Select((_, row) => bench.SequenceSampler(Resolve(options, row), [1, 2, row], Size))];
        GpuSequenceSampler[] asking =
            [.. logits.Select((_, row) => bench.SequenceSampler(Resolve(options with { TopLogprobs = row % 2 == 0 ? row : null }, row), [1, 2, row], Size))];

        int[] expected = bench.Sampler.Sample(without, [.. plain.Select((sampler, row) => new SampledRow(row, sampler, 0))]).Wait().ToArray();
        int[] found = bench.Sampler.Sample(with, [.. asking.Select((sampler, row) => new SampledRow(row, sampler, 0))]).Wait().ToArray();

        Assert.That(found, Is.EqualTo(expected));
        for (int row = 0; row < Rows; row += 2)
        {
            float[] after = new float[Size];
            bench.Device.Download(with.Address + (nint)(row * with.RowBytes), MemoryMarshal.AsBytes(after.AsSpan()));
            Assert.That(after, Is.EqualTo(logits[row]), $"row {row}");
        }
    }

    private static SamplingParameters Resolve(GenerationOptions options, int seed) => SamplingParameters.Resolve(options with { Seed = seed }, new());

    private static uint[] Bits(bool[] allowed)
    {
        uint[] words = new uint[(allowed.Length + 31) / 32];
        for (int i = 0; i < allowed.Length; i++) words[i / 32] |= allowed[i] ? 1u << (i % 32) : 0;
        return words;
    }

    private static string HostAnswer(float[] logits, SamplingParameters parameters, int index)
    {
        try
        {
            return $"{new Sampler(logits.Length).Sample(logits.AsSpan().ToArray(), parameters, null, index, out _)}";
        }
        catch (InvalidOperationException error)
        {
            return error.Message;
        }
    }

    /// <summary>The kernel by itself; tokens that it does not write are <see cref="Unwritten"/>.</summary>
    private static int[] Launch(
        GpuSamplingBench bench, GpuActivations logits, GpuSamplingRow[] rows, GpuKernel<SamplingArguments>? kernel = null)
    {
        int[] found = [.. Enumerable.Repeat(Unwritten, logits.Rows)];
        GpuBuffer tokens = bench.Send(found);
        SamplingArguments arguments = new()
        {
            Logits = logits.Address,
            Rows = bench.Send(rows).Address,
            Tokens = tokens.Address,
            Stride = logits.Stride,
            Vocabulary = logits.Columns,
        };
        bench.Device.Launch(kernel ?? GpuSampling.Kernel, new GpuGrid(rows.Length), arguments);
        bench.Device.Download(tokens.Address, MemoryMarshal.AsBytes(found.AsSpan()));
        return found;
    }
}
