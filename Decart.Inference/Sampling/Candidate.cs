using System.Numerics;

namespace Decart.Inference.Sampling;

/// <summary>A token that may be chosen, with its logit or weight.</summary>
internal record struct Candidate(float Value, int Id)
{
    /// <summary>
    /// Fills <paramref name="best"/> with the largest of <paramref name="values"/>, largest first, among equals the lowest index first.
    /// Keeps a heap of the best so far whose root is the worst of them: most values are passed over by one vector comparison with the root.
    /// </summary>
    /// <param name="values">At least as many as <paramref name="best"/> has room for; no NaN.</param>
    /// <param name="best">Not empty.</param>
    public static void SelectLargest(ReadOnlySpan<float> values, Span<Candidate> best)
    {
        for (int i = 0; i < best.Length; i++) best[i] = new Candidate(values[i], i);
        for (int i = best.Length / 2 - 1; i >= 0; i--) SiftDown(best, i);

        int index = best.Length;
        for (; index <= values.Length - Vector<float>.Count; index += Vector<float>.Count)
        {
            if (!Vector.GreaterThanAny(new Vector<float>(values[index..]), new Vector<float>(best[0].Value))) continue;
            for (int lane = 0; lane < Vector<float>.Count; lane++) Offer(best, values, index + lane);
        }
        for (; index < values.Length; index++) Offer(best, values, index);

        for (int end = best.Length - 1; end > 0; end--)
        {
            (best[0], best[end]) = (best[end], best[0]);
            SiftDown(best[..end], 0);
        }
    }

    private static void Offer(Span<Candidate> heap, ReadOnlySpan<float> values, int index)
    {
        if (!(values[index] > heap[0].Value)) return;
        heap[0] = new Candidate(values[index], index);
        SiftDown(heap, 0);
    }

    private static void SiftDown(Span<Candidate> heap, int parent)
    {
        Candidate moved = heap[parent];
        for (int child = 2 * parent + 1; child < heap.Length; child = 2 * parent + 1)
        {
            if (child + 1 < heap.Length && heap[child + 1].IsWorseThan(heap[child])) child++;
            if (!heap[child].IsWorseThan(moved)) break;
            heap[parent] = heap[child];
            parent = child;
        }
        heap[parent] = moved;
    }

    private readonly bool IsWorseThan(Candidate other) => Value < other.Value || (Value == other.Value && Id > other.Id);
}
