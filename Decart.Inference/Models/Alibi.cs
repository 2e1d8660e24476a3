namespace Decart.Inference.Models;

/// <summary>Attention with linear biases (Press et al., ALiBi, 2021).</summary>
internal static class Alibi
{
    /// <summary>
    /// The slopes of the heads: a geometric sequence from 2^(-8/n) for n heads, and for a number of heads that is not a power
    /// of two the sequence of the power below, then every other slope of the power above.
    /// </summary>
    public static float[] Slopes(int heads)
    {
        int below = 1 << (int)Math.Log2(heads);
        float[] slopes = new float[heads];
        for (int i = 0; i < heads; i++)
        {
            slopes[i] = (float)(i < below ? Math.Pow(2, -8.0 / below * (i + 1)) : Math.Pow(2, -4.0 / below * (2 * (i - below) + 1)));
        }
        return slopes;
    }
}
