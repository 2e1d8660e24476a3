namespace Decart.Inference.Native.Cuda;

/// <summary>A kernel in a module; valid as long as that. Launched by one thread at a time.</summary>
internal sealed unsafe class CudaFunction(CudaContext context, CudaModule module, nint function)
{
    /// <summary>Dynamic shared memory that a kernel may have without asking.</summary>
    private const int DefaultSharedBytes = 48 * 1024;

    /// <summary>Registers of a thread.</summary>
    public int Registers => Get(CudaFunctionAttribute.Registers);

    /// <summary>Bytes of local memory of a thread: spilled registers, and arrays.</summary>
    public int LocalBytes => Get(CudaFunctionAttribute.LocalBytes);

    /// <summary>Dynamic shared memory of a launch; above 48 KiB only GPUs that have it allow it.</summary>
    public int DynamicSharedBytes
    {
        get;
        init
        {
            field = value;
            if (value <= DefaultSharedBytes) return;
            context.MakeCurrent();
            CudaResult result = CudaDriver.SetFunctionAttribute(function, CudaFunctionAttribute.MaxDynamicSharedBytes, value);
            CudaDriver.Check(result, $"{value} bytes of shared memory");
        }
    }

    /// <summary>Whether launches may start before the kernel in front of them has ended: it then waits itself ("griddepcontrol.wait"); sm_90.</summary>
    public bool StartsEarly { get; init; }

    /// <summary>Queues a launch with one parameter, a struct.</summary>
    /// <param name="stream">Where.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="clusterSize">Blocks, side by side along x, that form a cluster; more than 1 from sm_90 on.</param>
    /// <param name="blockSize">Threads of a block.</param>
    /// <param name="arguments">The parameter.</param>
    public void Launch<TArguments>(CudaStream stream, (int X, int Y, int Z) grid, int clusterSize, int blockSize, in TArguments arguments)
        where TArguments : unmanaged
    {
        context.MakeCurrent();
        ObjectDisposedException.ThrowIf(module.IsClosed || stream.IsClosed, this);
        CudaLaunchAttribute* attributes = stackalloc CudaLaunchAttribute[2];
        int count = 0;
        if (clusterSize > 1) attributes[count++] = CudaLaunchAttribute.Cluster(clusterSize);
        if (StartsEarly) attributes[count++] = CudaLaunchAttribute.StartEarly;
        fixed (TArguments* parameter = &arguments)
        {
            CudaLaunch launch = new()
            {
                GridX = (uint)grid.X,
                GridY = (uint)grid.Y,
                GridZ = (uint)grid.Z,
                BlockX = (uint)blockSize,
                BlockY = 1,
                BlockZ = 1,
                DynamicSharedBytes = (uint)DynamicSharedBytes,
                Stream = stream.DangerousGetHandle(),
                Attributes = attributes,
                AttributeCount = (uint)count,
            };
            void* address = parameter;
            CudaDriver.Check(CudaDriver.Launch(launch, function, &address, null), "launching a kernel");
        }
    }

    private int Get(CudaFunctionAttribute attribute)
    {
        context.MakeCurrent();
        CudaDriver.Check(CudaDriver.GetFunctionAttribute(out int value, attribute, function), "a kernel's properties");
        return value;
    }
}
