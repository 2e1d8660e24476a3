using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>
/// A GPU, opened: its primary context, which other libraries in the process share, is retained until disposal. Any thread may use it.
/// What is made in it must be disposed of before it.
/// </summary>
internal sealed class CudaContext : SafeHandle
{
    /// <summary>Functions that a message names.</summary>
    private const int ShownFunctions = 3;

    private CudaContext(int device, nint context)
        : base(0, ownsHandle: true)
    {
        Device = device;
        SetHandle(context);
    }

    /// <summary>The driver's handle of the GPU.</summary>
    public int Device { get; }

    public override bool IsInvalid => handle == 0;

    /// <param name="index">The driver's number of the GPU, from 0.</param>
    /// <exception cref="CudaUnavailableException">There is no driver, or no such GPU.</exception>
    /// <exception cref="CudaException">The driver cannot open it.</exception>
    public static CudaContext Open(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        Require(index);
        CudaDriver.Check(CudaDriver.GetDevice(out int device, index), "a GPU's handle");
        CudaDriver.Check(CudaDriver.RetainPrimaryContext(out nint context, device), context, "the primary context");
        return new CudaContext(device, context);
    }

    /// <summary>Throws unless there is a GPU.</summary>
    /// <param name="index">Its number.</param>
    /// <exception cref="CudaUnavailableException">The driver finds fewer, or there is none.</exception>
    public static void Require(int index)
    {
        int count = CountDevices();
        if (index >= count) throw new CudaUnavailableException($"GPU {index} was asked for, the CUDA driver finds {count}.");
    }

    /// <summary>How many GPUs the driver finds.</summary>
    /// <exception cref="CudaUnavailableException">There is no driver.</exception>
    public static int CountDevices()
    {
        Initialize();
        CudaDriver.Check(CudaDriver.GetDeviceCount(out int count), "counting GPUs");
        return count;
    }

    /// <summary>Lets kernels of this GPU use the memory of another, for as long as both are open.</summary>
    /// <exception cref="CudaException">They cannot; see <see cref="CudaTeam"/>.</exception>
    public void EnablePeer(CudaContext other)
    {
        MakeCurrent();
        CudaResult result = CudaDriver.EnablePeerAccess(other, 0);
        if (result != CudaResult.PeerAccessAlreadyEnabled) CudaDriver.Check(result, "access to another GPU's memory");
    }

    /// <summary>Makes this the context of the driver calls that follow on the calling thread. Costs well under a microsecond.</summary>
    /// <exception cref="ObjectDisposedException">The context was disposed of.</exception>
    public void MakeCurrent() => CudaDriver.Check(CudaDriver.SetCurrentContext(this), "making a context current");

    /// <summary>A property of the GPU; 0 where the driver does not know of it.</summary>
    public int GetAttribute(CudaDeviceAttribute attribute) => GetAttribute(Device, attribute);

    /// <summary>A property of a GPU that need not be open.</summary>
    /// <param name="device">The driver's handle of it.</param>
    /// <param name="attribute">Which.</param>
    /// <returns>0 where the driver does not know of it.</returns>
    public static int GetAttribute(int device, CudaDeviceAttribute attribute) =>
        CudaDriver.GetDeviceAttribute(out int value, attribute, device) == CudaResult.Success ? value : 0;

    protected override bool ReleaseHandle() => CudaDriver.ReleasePrimaryContext(Device) == CudaResult.Success;

    private static void Initialize()
    {
        try
        {
            ThrowIfIncomplete();
            CudaResult result = CudaDriver.Initialize(0);
            if (result != CudaResult.Success)
                throw new CudaUnavailableException($"The CUDA driver finds no GPU to work with: {CudaDriver.Describe(result)}.");
        }
        catch (DllNotFoundException exception)
        {
            throw new CudaUnavailableException(
                $"There is no CUDA driver on this machine that can be loaded: looked for {string.Join(" and ", CudaDriver.LibraryNames)}. It comes with NVIDIA's driver.",
                exception);
        }
    }

    private static void ThrowIfIncomplete()
    {
        if (CudaDriver.FindMissing() is not { Count: > 0 } missing) return;
        string names = string.Join(", ", missing.Take(ShownFunctions)) + (missing.Count > ShownFunctions ? $" and {missing.Count - ShownFunctions} more functions" : "");
        throw new CudaUnavailableException($"The CUDA driver lacks {names}; every driver for CUDA 12.0 or later has them.");
    }
}
