using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Patterns;

/// <summary>A regular expression as it was read.</summary>
internal abstract record Pattern;

/// <summary>One character of a set.</summary>
internal sealed record CharacterPattern(CodePointSet Set) : Pattern;

/// <summary>Parts one after the other.</summary>
internal sealed record SequencePattern(IReadOnlyList<Pattern> Parts) : Pattern;

/// <summary>Any of some parts.</summary>
internal sealed record AlternativePattern(IReadOnlyList<Pattern> Parts) : Pattern;

/// <summary>A part several times; <see cref="Language.Unbounded"/> for no upper bound.</summary>
internal sealed record RepeatedPattern(Pattern Part, int Min, int Max) : Pattern;

/// <summary>The beginning or the end of the text.</summary>
internal sealed record AnchorPattern(bool IsStart) : Pattern;

/// <summary>What follows must, or must not, begin with a part.</summary>
internal sealed record LookaheadPattern(Pattern Part, bool IsNegative) : Pattern;
