using BenchmarkDotNet.Running;
using Decart.Inference.Benchmarks;
using Decart.Inference.Benchmarks.Commands;

if (args is [var command, ..] && BenchmarkCommands.Has(command)) return await BenchmarkCommands.RunAsync(args, Console.Out);

if (args is ["start", .. { Length: > 0 } start]) StartTimes.Run(start);
else if (args is ["start-once", .. { Length: > 1 } once]) await StartTimes.RunOnceAsync(once);
else if (args is ["gpu-sampling"]) GpuSamplingTimes.Print();
else if (args is ["masks"]) MaskTimes.Print();
else if (args is ["rank-sum", .. var devices]) RankSumTimes.Print(devices);
else if (args is ["gpu-matmul", .. { } rows]) GpuMatMulTimes.Run(rows);
else if (args is ["attention-gpu", .. var attention]) GpuAttentionTimes.Print(attention);
else if (args is ["waste"]) WasteTable.Print();
else if (args is ["map", { Length: > 0 } path]) await KvMapDrawing.WriteAsync(path);
else BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
return 0;
