using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Whether a device does what its driver says that it does: numbers go there, are computed with, by launches and by recorded ones, and come back; a page of
/// memory can be mapped. Takes about a millisecond.
/// </summary>
internal static class GpuSelfTest
{
    private const int Columns = 100;

    /// <exception cref="CudaUnavailableException">It gives other numbers.</exception>
    /// <exception cref="CudaException">The driver reports an error.</exception>
    public static void Run(IGpuDevice device)
    {
        float[] values = [.. Enumerable.Range(0, Columns).Select(i => (i - 50) / 8f)];
        int stride = CoreTiles.PaddedColumns(Columns), blockRows = CoreTiles.OperandBlockRows(1);
        byte[] expected = new byte[blockRows * stride * sizeof(ushort)];
        for (int i = 0; i < Columns; i++) MemoryMarshal.Write(expected.AsSpan((int)CoreTiles.OperandOffset(0, i, stride, blockRows)), (Half)values[i]);
        using GpuActivations x = new(device, rows: 1, Columns, operand: false), y = new(device, rows: 1, Columns, operand: true);
        using GpuBuffer count = new(device.Memory, sizeof(int));
        device.Upload(x.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        device.Upload(count.Address, MemoryMarshal.AsBytes([1]));
        RoundArguments arguments = new()
        {
            Count = count.Address,
            X = x.Address,
            Y = y.Address,
            XStride = x.Stride,
            YStride = stride,
            YBlockRows = blockRows,
            Columns = Columns,
        };

        device.Launch(GpuRound.Kernel, new GpuGrid(1), arguments);
        byte[] found = new byte[expected.Length];
        device.Download(y.Address, found);
        Compare("a launch", found, expected);

        device.Clear(y.Address, expected.Length);
        using IGpuRecording recording = device.Record(() => device.Launch(GpuRound.Kernel, new GpuGrid(1), arguments));
        recording.Replay();
        using GpuReadback readback = device.CreateReadback(expected.Length);
        readback.Start(y.Address, expected.Length);
        Compare("a recorded launch", readback.Wait(), expected);
        if (device.Memory.PageGranularity > 0) MapPage(device.Memory, expected);
    }

    private static unsafe void MapPage(IDeviceMemory memory, byte[] bytes)
    {
        long pageBytes = memory.PageGranularity;
        using IVirtualMemory virtualMemory = memory.CreateVirtualMemory(pageBytes, maxPages: 1);
        nint address = virtualMemory.Reserve(pageBytes), page = virtualMemory.CreatePage();
        virtualMemory.Map(address, page);
        byte[] found = new byte[bytes.Length];
        fixed (byte* source = bytes, destination = found)
        {
            memory.Copy(address, (nint)source, bytes.Length);
            memory.Copy((nint)destination, address, bytes.Length);
        }
        virtualMemory.Unmap(address, pageBytes);
        virtualMemory.ReleasePage(page);
        virtualMemory.Free(address, pageBytes);
        Compare("a page", found, bytes);
    }

    private static void Compare(string what, ReadOnlySpan<byte> found, ReadOnlySpan<byte> expected)
    {
        if (!found.SequenceEqual(expected)) throw new CudaUnavailableException($"The GPU does not work: {what} of it gives other numbers than were expected, and no error.");
    }
}
