using System.Collections;
using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Surface;

/// <summary>Records with lists compare by content, print their items, and cannot be written through a cast.</summary>
public class RecordTests
{
    private static IEnumerable<TestCaseData> Records()
    {
        yield return Case(items => new GenerationResult
        {
            Text = "a",
            TokenIds = items,
            Logprobs = [new TokenLogprobs(1, -1, [new(1, -1)])],
            FinishReason = FinishReason.Stop,
            Usage = new Usage(1, 0, 1, default, default),
        });
        yield return Case(items => new GenerationUpdate { TokenIds = items, Logprobs = [new TokenLogprobs(1, -1, [])] });
        yield return Case(items => new TokenLogprobs(1, -2, [.. items.Select(id => new TokenLogprob(id, -1))]));
        yield return Case(items => new KvMapSequence(0, 3, items, 1, IsIdle: false));
        yield return Case(items => new KvMap { Paging = PagingMode.Table, Pages = 1, PageBytes = 2, TokenBytes = 3, CachedPages = 4, Cached = items, Sequences = [new(0, 3, items, 1, true)] });
        yield return Case(items => new GenerationOptions
        {
            StopTokenIds = items,
            StopSequences = ["a", "b"],
            LogitBias = items.ToDictionary(id => id, id => (float)id),
        });
        yield return Case(items => new TensorInfo("w", TensorType.F32, [.. items], 0, 4));

        static TestCaseData Case<T>(Func<List<int>, T> create) where T : notnull =>
            new TestCaseData((Func<List<int>, object>)(items => create(items))).SetArgDisplayNames(typeof(T).Name);
    }

    [TestCaseSource(nameof(Records))]
    public void Records_compare_by_content(Func<List<int>, object> create)
    {
        object record = create([5, 6, 7]), same = create([5, 6, 7]), other = create([5, 6, 8]);
        Assert.That(record.Equals(same), Is.True);
        Assert.That(record.GetHashCode(), Is.EqualTo(same.GetHashCode()));
        Assert.That(record.Equals(other), Is.False);
    }

    [TestCaseSource(nameof(Records))]
    public void Records_print_what_their_lists_hold(Func<List<int>, object> create)
    {
        string text = create([5, 6, 7]).ToString()!;
        Assert.That(text, Does.Contain("7").And.Not.Contain("System.").And.Not.Contain("ReadOnly").And.Not.Contain("Value"));
    }

    [TestCaseSource(nameof(Records))]
    public void What_a_list_holds_later_changes_no_record(Func<List<int>, object> create)
    {
        List<int> items = [5, 6, 7];
        object record = create(items), before = create([5, 6, 7]);
        items[1] = 9;
        items.Add(1);
        Assert.That(record, Is.EqualTo(before));
    }

    [TestCaseSource(nameof(Records))]
    public void Lists_cannot_be_written_through_a_cast(Func<List<int>, object> create)
    {
        object record = create([5, 6, 7]);
        foreach (object? value in record.GetType().GetProperties().Where(property => property.GetIndexParameters().Length == 0).Select(property => property.GetValue(record)))
        {
            if (value is IList list) Assert.That(() => list[0] = list[0], Throws.InstanceOf<NotSupportedException>());
            if (value is IDictionary dictionary) Assert.That(dictionary.Clear, Throws.InstanceOf<NotSupportedException>());
        }
    }

    [Test]
    public void Results_survive_json()
    {
        var result = new GenerationResult
        {
            Text = "a",
            TokenIds = [1, 2],
            Logprobs = [new TokenLogprobs(1, -1, [new(1, -1), new(4, -2)])],
            FinishReason = FinishReason.Length,
            Usage = new Usage(1, 2, 3, TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(2)),
        };
        Assert.That(JsonSerializer.Deserialize<GenerationResult>(JsonSerializer.Serialize(result)), Is.EqualTo(result));
    }

    [Test]
    public void Of_a_long_list_the_beginning_is_printed() =>
        Assert.That(new GenerationUpdate { TokenIds = [.. Enumerable.Range(0, 1000)] }.ToString(), Does.Contain("30, 31, … 968 more]"));
}
