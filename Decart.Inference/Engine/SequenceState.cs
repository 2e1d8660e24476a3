namespace Decart.Inference.Engine;

/// <summary>How far a request has come. <see cref="SequenceLists"/> is the only one to change it.</summary>
/// <remarks>
/// <code>
///              has pages                      complete or failed
///     Waiting ───────────► Running ─────────────────────────────────────────► Ended
///      ▲   ▲               │  │ ▲ \  a step in flight still uses its pages      ▲
///      │   └───────────────┘  │ │  └─────────────────► Ending ─────────────────┘
///      │    preempted         │ │
///      │        reader lags   │ │ reader has caught up
///      │                      ▼ │
///      └────── Evicted ◄──── Paused
///  reader has      pages are needed
///  caught up       elsewhere
/// </code>
/// A sequence holds keys and values while it is running, paused or ending. Whatever its state, it ends when its caller has gone.
/// </remarks>
internal enum SequenceState
{
    /// <summary>Not yet taken in by the engine's thread.</summary>
    New,

    /// <summary>Waits for its turn.</summary>
    Waiting,

    /// <summary>In every step that has tokens for it.</summary>
    Running,

    /// <summary>Waits for its reader, with its keys and values.</summary>
    Paused,

    /// <summary>Waits for its reader, after which it waits for its turn.</summary>
    Evicted,

    /// <summary>Complete or failed, but a step in flight still uses its pages.</summary>
    Ending,

    /// <summary>Out of the engine's hands.</summary>
    Ended,
}
