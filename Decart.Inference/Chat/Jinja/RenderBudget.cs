using System.Runtime.CompilerServices;

namespace Decart.Inference.Chat.Jinja;

/// <summary>How much one rendering may do: a template comes with a model, from anybody.</summary>
/// <param name="steps">The most expressions and statements that are evaluated, and items that loops and filters visit.</param>
/// <param name="characters">The most characters of all texts that are made on the way.</param>
internal sealed class RenderBudget(long steps, long characters)
{
    /// <summary>The most characters of one text, and of what a template gives.</summary>
    public const int LongestText = 64 << 20;

    /// <summary>The most macros, recursive loops and values within each other.</summary>
    public const int Deepest = 200;

    /// <summary>The most items that a range may have: Jinja's own sandbox has the same limit.</summary>
    public const int LongestRange = 100_000;

    /// <summary>The most bits of an integer: some 4,300 digits, which is as many as Python writes.</summary>
    public const long LargestInteger = 14_284;

    /// <summary>How many characters may be compared or searched for one step.</summary>
    public const int CharactersPerStep = 16;

    private const long FewestSteps = 20_000_000, StepsOfItem = 20_000, FewestCharacters = 64 << 20, CopiesOfInput = 64;

    private long _steps = steps;
    private long _characters = characters;
    private int _depth;

    /// <summary>What is plenty for a template that is meant well.</summary>
    /// <param name="items">Number of messages and tools.</param>
    /// <param name="characters">Number of their characters.</param>
    public static RenderBudget For(int items, long characters) =>
        new(FewestSteps + (StepsOfItem * items), FewestCharacters + (CopiesOfInput * characters));

    public void Step(long count = 1)
    {
        if ((_steps -= count) < 0) throw new JinjaException("the template does not come to an end: it takes too many steps", ChatTemplateError.LimitExceeded);
    }

    /// <summary>Counts characters that are appended to a text.</summary>
    public void Write(int count, int before)
    {
        if ((_characters -= count) < 0 || count > LongestText - before)
            throw new JinjaException("the template makes texts that are too long", ChatTemplateError.LimitExceeded);
    }

    /// <summary>Goes one level deeper, until what is returned is disposed.</summary>
    public Level Enter()
    {
        if (_depth >= Deepest || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new JinjaException("the template goes too deep: macros, loops or values within each other", ChatTemplateError.LimitExceeded);
        _depth++;
        return new Level(this);
    }

    internal readonly struct Level(RenderBudget budget) : IDisposable
    {
        public void Dispose() => budget._depth--;
    }
}
