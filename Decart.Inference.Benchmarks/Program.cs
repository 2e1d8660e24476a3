using BenchmarkDotNet.Running;
using Decart.Inference.Benchmarks;

if (args is ["throughput", .. { Length: > 0 } arguments]) await GenerationThroughput.RunAsync(arguments);
else BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
