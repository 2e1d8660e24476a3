namespace Decart.Inference.Kernels;

/// <summary>Makes what operations work on, laid out as the device's kernels read it. The caller disposes of what it gets.</summary>
internal interface ITensorFactory
{
    /// <summary>
    /// Whether weights are read from the checkpoint's files whenever they are used, rather than copied when they are created: the checkpoint must then stay
    /// open as long as they live.
    /// </summary>
    bool ReadsWeightsInPlace { get; }

    /// <summary>A weight whose rows are those of the parts one after another.</summary>
    Weight CreateWeight(WeightParts parts);

    /// <summary>The parts' elements one after another, widened to float32, plus <paramref name="offset"/> (Gemma stores scale - 1).</summary>
    WeightVector CreateVector(VectorParts parts, float offset = 0);

    RotaryTable CreateRotary(RotaryParameters parameters);

    /// <summary>A matrix of undefined content.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="operand">
    /// Whether only matmuls without a norm read it, so that a device may keep it in the precision that its matmuls multiply in.
    /// </param>
    /// <param name="split">Along what several devices divide the columns.</param>
    Activations CreateActivations(int rows, int columns, bool operand = false, Split split = Split.None);
}
