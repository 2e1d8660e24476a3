namespace Decart.Inference.Kernels;

/// <summary>The experts of a mixture-of-experts block (Shazeer et al., 2017).</summary>
/// <param name="GateUp">For each expert its gate rows followed by its up rows: [2F, hidden].</param>
/// <param name="Down">For each expert [hidden, F].</param>
/// <param name="ExpertsPerToken">How many experts each token uses.</param>
/// <param name="Renormalise">Whether the chosen experts' softmax probabilities are divided by their sum.</param>
/// <param name="Function">The gate's activation function.</param>
internal sealed record Experts(Weight[] GateUp, Weight[] Down, int ExpertsPerToken, bool Renormalise, ActivationFunction Function);
