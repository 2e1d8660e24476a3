using BenchmarkDotNet.Attributes;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Benchmarks;

/// <summary>What it costs to hand a job to all threads and to wait for them: the job itself does nothing.</summary>
[MemoryDiagnoser]
public class ThreadTeamBenchmarks : IDisposable
{
    private readonly ThreadTeam _team = new(ThreadTeam.DefaultThreads);

    [GlobalCleanup]
    public void Dispose()
    {
        _team.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark]
    public void OnePartEach() => _team.Run(default(NoJob), _team.Threads);

    [Benchmark]
    public void EightPartsEach() => _team.Run(default(NoJob), 8 * _team.Threads);

    private readonly struct NoJob : ITeamJob
    {
        public void Run(int part)
        {
        }
    }
}
