using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

public sealed unsafe class ThreadTeamTests
{
    [Test]
    public void Every_part_of_every_job_runs_once([Values(1, 2, 3, 9)] int threads)
    {
        using var team = new ThreadTeam(threads);
        int* runs = stackalloc int[40];
        for (int round = 0; round < 3000; round++)
        {
            int parts = round % 40;
            new Span<int>(runs, 40).Clear();
            team.Run(new CountingJob(runs), parts);
            for (int part = 0; part < 40; part++) Assert.That(runs[part], Is.EqualTo(part < parts ? 1 : 0));
        }
    }

    [Test]
    public void A_sleeping_team_wakes_for_the_next_job()
    {
        using var team = new ThreadTeam(3);
        int* runs = stackalloc int[3];
        for (int round = 1; round <= 5; round++)
        {
            Thread.Sleep(20);
            team.Run(new RendezvousJob(runs), 3);
            Assert.That(runs[0], Is.EqualTo(3 * round));
        }
    }

    [Test]
    public void The_first_exception_reaches_the_caller_and_the_team_goes_on([Values(1, 4)] int threads)
    {
        using var team = new ThreadTeam(threads);
        int* runs = stackalloc int[8];
        Assert.That(() => team.Run(new FailingJob(), 8), Throws.InstanceOf<InvalidDataException>());
        team.Run(new CountingJob(runs), 8);
        for (int part = 0; part < 8; part++) Assert.That(runs[part], Is.EqualTo(1));
    }

    [Test]
    public void A_second_job_at_the_same_time_is_refused()
    {
        using var team = new ThreadTeam(2);
        using var held = new ManualResetEventSlim();
        using var begun = new ManualResetEventSlim();
        Gate.Begun = begun;
        Gate.Held = held;
        var first = new Thread(() => team.Run(new WaitingJob(), 2));
        first.Start();
        begun.Wait();
        Assert.That(() => team.Run(new WaitingJob(), 2), Throws.InvalidOperationException);
        held.Set();
        first.Join();
    }

    [Test]
    public void Running_a_job_allocates_nothing()
    {
        using var team = new ThreadTeam(2);
        int* runs = stackalloc int[4];
        long bytes = Allocations.InSteadyState(() =>
        {
            for (int i = 0; i < 100; i++) team.Run(new CountingJob(runs), 4);
        });
        Assert.That(bytes, Is.Zero);
    }

    [Test]
    public void An_ended_team_refuses_work_and_a_team_has_at_least_one_thread()
    {
        var team = new ThreadTeam(2);
        team.Dispose();
        team.Dispose();
        Assert.That(() => team.Run(new FailingJob(), 1), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => new ThreadTeam(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static class Gate
    {
        public static ManualResetEventSlim? Begun { get; set; }

        public static ManualResetEventSlim? Held { get; set; }
    }

    private readonly struct CountingJob(int* runs) : ITeamJob
    {
        public void Run(int part) => Interlocked.Increment(ref runs[part]);
    }

    /// <summary>Ends only when three threads are in it at once.</summary>
    private readonly struct RendezvousJob(int* arrivals) : ITeamJob
    {
        public void Run(int part)
        {
            int target = ((Interlocked.Increment(ref *arrivals) - 1) / 3 * 3) + 3;
            SpinWait wait = default;
            while (Volatile.Read(ref *arrivals) < target) wait.SpinOnce();
        }
    }

    private readonly struct FailingJob : ITeamJob
    {
        public void Run(int part)
        {
            if (part % 3 == 1) throw new InvalidDataException("part " + part);
        }
    }

    private readonly struct WaitingJob : ITeamJob
    {
        public void Run(int part)
        {
            Gate.Begun!.Set();
            Gate.Held!.Wait();
        }
    }
}
