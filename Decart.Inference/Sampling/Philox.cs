namespace Decart.Inference.Sampling;

/// <summary>
/// Philox-4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): a random number is a function of a key and a
/// counter. A sequence's n-th draw depends on its seed and n alone, so there is no generator state to keep, to restore or to share.
/// </summary>
internal static class Philox
{
    private const int Rounds = 10;

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    /// <param name="key">The seed.</param>
    /// <param name="counter">Which of the seed's numbers.</param>
    public static double NextDouble(ulong key, ulong counter) => (NextBits(key, counter) >> 11) * (1.0 / (1UL << 53));

    /// <summary>The same number times 2^64.</summary>
    public static ulong NextBits(ulong key, ulong counter)
    {
        (uint x0, uint x1, _, _) = Block(((uint)counter, (uint)(counter >> 32), 0, 0), ((uint)key, (uint)(key >> 32)));
        return ((ulong)x1 << 32 | x0) & ~0x7FFUL;
    }

    /// <summary>The four words of one block, as in the paper's known answers.</summary>
    internal static (uint X0, uint X1, uint X2, uint X3) Block((uint X0, uint X1, uint X2, uint X3) counter, (uint K0, uint K1) key)
    {
        (uint x0, uint x1, uint x2, uint x3) = counter;
        (uint k0, uint k1) = key;
        for (int round = 0; round < Rounds; round++)
        {
            ulong product0 = 0xD2511F53UL * x0;
            ulong product1 = 0xCD9E8D57UL * x2;
            (x0, x1, x2, x3) = ((uint)(product1 >> 32) ^ x1 ^ k0, (uint)product1, (uint)(product0 >> 32) ^ x3 ^ k1, (uint)product0);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        return (x0, x1, x2, x3);
    }
}
