using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

internal enum MemoryOperation
{
    CreateVirtualMemory,
    Reserve,
    Free,
    CreatePage,
    ReleasePage,
    Map,
    Unmap,
    Allocate,
}

/// <summary>Which memory operations are to fail. Shared by any number of <see cref="FaultyVirtualMemory"/>; any thread may call.</summary>
internal sealed class FaultPlan
{
    private readonly Lock _lock = new();
    private readonly int[] _calls = new int[Enum.GetValues<MemoryOperation>().Length];
    private readonly List<(MemoryOperation Operation, Func<int, bool> Fails)> _faults = [];

    /// <summary>Number of failures so far.</summary>
    public int Failures { get; private set; }

    /// <summary>Calls of an operation so far, those that failed among them.</summary>
    public int Calls(MemoryOperation operation)
    {
        lock (_lock) return _calls[(int)operation];
    }

    /// <summary>Lets one call fail: <paramref name="call"/> 1 is the next one.</summary>
    public void Fail(MemoryOperation operation, int call = 1)
    {
        int failing = Calls(operation) + call;
        FailWhen(operation, number => number == failing);
    }

    /// <summary>Lets every call fail for which the function, given the call's number from 1, is true.</summary>
    public void FailWhen(MemoryOperation operation, Func<int, bool> fails)
    {
        lock (_lock) _faults.Add((operation, fails));
    }

    /// <summary>No call fails from now on.</summary>
    public void Clear()
    {
        lock (_lock) _faults.Clear();
    }

    /// <summary>Counts a call.</summary>
    /// <exception cref="VirtualMemoryException">The call is to fail.</exception>
    /// <exception cref="OutOfMemoryException">The call is an allocation and is to fail.</exception>
    public void Enter(MemoryOperation operation)
    {
        lock (_lock)
        {
            int call = ++_calls[(int)operation];
            if (!_faults.Any(fault => fault.Operation == operation && fault.Fails(call))) return;
            Failures++;
            string message = $"Injected: {operation} number {call} fails.";
            throw operation == MemoryOperation.Allocate ? new InsufficientMemoryException(message) : new VirtualMemoryException(message);
        }
    }
}
