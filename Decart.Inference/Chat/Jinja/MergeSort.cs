namespace Decart.Inference.Chat.Jinja;

/// <summary>
/// Sorts and keeps the order of equal items. Unlike the library's sort it lets exceptions of the comparison through as they are, and any comparison ends it.
/// </summary>
internal static class MergeSort
{
    /// <param name="items">What is sorted.</param>
    /// <param name="isAfter">Whether the first of two items must stand after the second.</param>
    public static void Sort<T>(T[] items, Func<T, T, bool> isAfter)
    {
        if (items.Length > 1) Sort(items, new T[items.Length], isAfter);
    }

    private static void Sort<T>(Span<T> items, Span<T> merged, Func<T, T, bool> isAfter)
    {
        if (items.Length < 2) return;
        int middle = items.Length / 2;
        Sort(items[..middle], merged[..middle], isAfter);
        Sort(items[middle..], merged[middle..], isAfter);
        for (int next = 0, left = 0, right = middle; next < items.Length; next++)
        {
            bool takesRight = left == middle || (right < items.Length && isAfter(items[left], items[right]));
            merged[next] = takesRight ? items[right++] : items[left++];
        }
        merged.CopyTo(items);
    }
}
