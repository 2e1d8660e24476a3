using System.Globalization;

namespace Decart.Inference.Sampling;

/// <summary>Why logits give no token. A device that chooses tokens writes a code, which is negative, in the token's place.</summary>
internal static class NoToken
{
    /// <summary>The model's largest logit is NaN (which counts as larger than any number) or infinite.</summary>
    public const int NaN = -1, Infinity = -2, NegativeInfinity = -3;

    /// <summary>Added to these for the largest after penalties, bias and mask.</summary>
    public const int AfterChanges = -3;

    /// <summary>The error of a code.</summary>
    public static InvalidOperationException Error(int code)
    {
        bool changed = code < NegativeInfinity;
        return Error(changed, (changed ? code - AfterChanges : code) switch
        {
            NaN => float.NaN,
            Infinity => float.PositiveInfinity,
            NegativeInfinity => float.NegativeInfinity,
            _ => throw new ArgumentOutOfRangeException(nameof(code), code, "Not the code of an error."),
        });
    }

    /// <summary>The error when the largest logit, before or after changes, is not a finite number.</summary>
    public static InvalidOperationException Error(bool changed, float largest)
    {
        string found = string.Create(CultureInfo.InvariantCulture, $"(the largest is {largest})");
        return changed
            ? new InvalidOperationException($"No token is left to choose after penalties, grammar and logit bias {found}.")
            : new NonFiniteLogitsException($"The model's largest logit is not a finite number {found}.");
    }
}
