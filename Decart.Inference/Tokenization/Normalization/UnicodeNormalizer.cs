using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Unicode's normalisation forms (UAX #15) from tables of our own, because .NET's are absent in globalization-invariant mode.
/// </summary>
/// <param name="compatibility">Whether characters become what they are compatible with (NFKC, NFKD).</param>
/// <param name="compose">Whether what was decomposed is composed again (NFC, NFKC).</param>
internal sealed class UnicodeNormalizer(bool compatibility, bool compose) : INormalizer
{
    private const int SyllableBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int VowelCount = 21, TrailCount = 28, LeadCount = 19, SyllableCount = LeadCount * VowelCount * TrailCount;

    private static readonly Lazy<Tables> SharedTables = new(() => new Tables());

    public string Normalize(string text, EncodingBudget budget)
    {
        char lastStable = (compatibility, compose) switch { (false, true) => '\u02FF', (true, true) => '\u009F', _ => '\u007F' };
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', lastStable)) return text;
        Tables tables = SharedTables.Value;
        if (IsStable(text, tables)) return text;
        List<int> codePoints = new(text.Length + (text.Length / 4));
        foreach (Rune rune in text.EnumerateRunes()) Decompose(rune.Value, tables, codePoints);
        Reorder(codePoints, tables);
        if (compose) Compose(codePoints, tables);
        StringBuilder result = new(codePoints.Count);
        foreach (int codePoint in codePoints)
        {
            if (codePoint <= char.MaxValue) result.Append((char)codePoint);
            else result.Append(char.ConvertFromUtf32(codePoint));
        }
        return result.ToString();
    }

    /// <summary>Whether no character decomposes, combines or is out of order: then the text is in the form already.</summary>
    private bool IsStable(string text, Tables tables)
    {
        Change changes = (compose ? Change.Composition : Change.Decomposition) | (compatibility ? Change.Compatibility : 0);
        foreach (char character in text)
        {
            if ((tables.Changes[character] & changes) != 0) return false;
        }
        return true;
    }

    private void Decompose(int codePoint, Tables tables, List<int> destination)
    {
        int syllable = codePoint - SyllableBase;
        if ((uint)syllable < SyllableCount)
        {
            destination.Add(LeadBase + (syllable / (VowelCount * TrailCount)));
            destination.Add(VowelBase + (syllable % (VowelCount * TrailCount) / TrailCount));
            if (syllable % TrailCount is > 0 and int trail) destination.Add(TrailBase + trail);
        }
        else if (tables.Canonical.TryGetValue(codePoint, out int[]? parts) || (compatibility && tables.Compatibility.TryGetValue(codePoint, out parts)))
        {
            foreach (int part in parts) Decompose(part, tables, destination);
        }
        else
        {
            destination.Add(codePoint);
        }
    }

    /// <summary>Puts runs of combining marks into the order of their classes; a stable sort, for runs may be long.</summary>
    private static void Reorder(List<int> codePoints, Tables tables)
    {
        for (int start = 0; start < codePoints.Count; start++)
        {
            int end = start;
            while (end < codePoints.Count && tables.ClassOf(codePoints[end]) != 0) end++;
            if (end - start > 1)
            {
                int[] ordered = [.. codePoints.GetRange(start, end - start).OrderBy(tables.ClassOf)];
                for (int i = 0; i < ordered.Length; i++) codePoints[start + i] = ordered[i];
            }
            start = end;
        }
    }

    private static void Compose(List<int> list, Tables tables)
    {
        Span<int> codePoints = CollectionsMarshal.AsSpan(list);
        int starter = -1, written = 0, previousClass = 0;
        foreach (int codePoint in codePoints)
        {
            int combiningClass = tables.ClassOf(codePoint);
            bool blocked = starter < 0 || (previousClass != 0 ? previousClass >= combiningClass : written - 1 != starter);
            if (!blocked && tables.TryCompose(codePoints[starter], codePoint, out int composed))
            {
                codePoints[starter] = composed;
                continue;
            }
            if (combiningClass == 0) starter = written;
            previousClass = combiningClass;
            codePoints[written++] = codePoint;
        }
        list.RemoveRange(written, list.Count - written);
    }

    /// <summary>In which forms a text with a character may differ from the text as it is.</summary>
    [Flags]
    private enum Change : byte
    {
        None = 0,
        Composition = 1,
        Decomposition = 2,
        Compatibility = 4,
    }

    private sealed class Tables
    {
        private readonly Dictionary<(int First, int Second), int> _compositions = [];

        public Tables()
        {
            Dictionary<int, int[]> canonical = Parse(UnicodeNormalizationData.CanonicalDecompositions);
            HashSet<int> excluded = [.. Parse(UnicodeNormalizationData.CompositionExclusions).Keys];
            Dictionary<int, int> classes = [];
            foreach ((int first, int[] entry) in Parse(UnicodeNormalizationData.CombiningClasses))
            {
                for (int codePoint = first; codePoint <= first + entry[0]; codePoint++) classes[codePoint] = entry[1];
            }
            foreach ((int composed, int[] parts) in canonical)
            {
                if (parts.Length == 2 && !excluded.Contains(composed)) _compositions[(parts[0], parts[1])] = composed;
            }
            Canonical = canonical.ToFrozenDictionary();
            Compatibility = Parse(UnicodeNormalizationData.CompatibilityDecompositions).ToFrozenDictionary();
            CombiningClasses = classes.ToFrozenDictionary();
            Mark(classes.Keys, Change.Composition | Change.Decomposition);
            Mark(_compositions.Keys.Select(pair => pair.Second), Change.Composition);
            Mark(canonical.Where(entry => entry.Value.Length == 1 || excluded.Contains(entry.Key)).Select(entry => entry.Key), Change.Composition);
            Mark(canonical.Keys.Concat(Enumerable.Range(SyllableBase, SyllableCount)), Change.Decomposition);
            Mark(Enumerable.Range(VowelBase, TrailBase + TrailCount - VowelBase), Change.Composition);
            Mark(Compatibility.Keys, Change.Compatibility);
            Mark(canonical.Keys.Where(HasCompatibilityPart), Change.Compatibility);
        }

        /// <summary>By UTF-16 unit: a high surrogate stands for all characters that begin with it.</summary>
        public Change[] Changes { get; } = new Change[char.MaxValue + 1];

        public FrozenDictionary<int, int[]> Canonical { get; }

        public FrozenDictionary<int, int[]> Compatibility { get; }

        public FrozenDictionary<int, int> CombiningClasses { get; }

        public int ClassOf(int codePoint) => CombiningClasses.GetValueOrDefault(codePoint);

        public bool TryCompose(int first, int second, out int composed)
        {
            if ((uint)(first - LeadBase) < LeadCount && (uint)(second - VowelBase) < VowelCount)
            {
                composed = SyllableBase + ((((first - LeadBase) * VowelCount) + second - VowelBase) * TrailCount);
                return true;
            }
            bool openSyllable = (uint)(first - SyllableBase) < SyllableCount && (first - SyllableBase) % TrailCount == 0;
            if (openSyllable && second is > TrailBase and < TrailBase + TrailCount)
            {
                composed = first + second - TrailBase;
                return true;
            }
            return _compositions.TryGetValue((first, second), out composed);
        }

        /// <summary>Whether a character's canonical parts have compatibility mappings, such as those of U+0385 do.</summary>
        private bool HasCompatibilityPart(int codePoint) =>
            Compatibility.ContainsKey(codePoint) || (Canonical.TryGetValue(codePoint, out int[]? parts) && parts.Any(HasCompatibilityPart));

        private void Mark(IEnumerable<int> codePoints, Change change)
        {
            foreach (int codePoint in codePoints) Changes[codePoint <= char.MaxValue ? codePoint : char.ConvertFromUtf32(codePoint)[0]] |= change;
        }

        private static Dictionary<int, int[]> Parse(string table)
        {
            Dictionary<int, int[]> entries = [];
            int codePoint = 0;
            foreach (string entry in table.Split((char[])[' ', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries))
            {
                string[] sides = entry.Split('=');
                codePoint += Hexadecimal(sides[0]);
                entries.Add(codePoint, sides.Length == 1 ? [] : [.. sides[1].Split(',').Select(Hexadecimal)]);
            }
            return entries;
        }

        private static int Hexadecimal(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }
}
