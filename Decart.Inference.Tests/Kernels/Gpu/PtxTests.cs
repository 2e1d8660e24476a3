using System.Reflection;
using System.Text.RegularExpressions;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>What kernels become for a GPU, seen without one.</summary>
[TestFixture(80, "sm_80")]
[TestFixture(90, "sm_90a")]
[TestFixture(120, "sm_90")]
internal sealed class PtxTests(int architecture, string target)
{
    private readonly PtxCompiler _compiler = new(architecture);
    private readonly Dictionary<GpuKernel, PtxModule> _compiled = [];

    private static GpuKernel[] TestKernels =>
    [
        IntrinsicKernels.MultiplyKernel, IntrinsicKernels.LoadMatricesKernel, IntrinsicKernels.ConvertKernel,
        .. HopperKernels.All, .. WarpGroupKernels.All,
    ];

    private static IEnumerable<GpuKernel> All =>
        GpuKernels.All.Concat(GpuRankExchange.All).Concat(PackedFormat.All.SelectMany(format => format.Kernels)).Concat(TestKernels);

    private static IEnumerable<TestCaseData> Kernels => All.Select(kernel => new TestCaseData(kernel).SetArgDisplayNames(kernel.Name));

    [OneTimeTearDown]
    public void EndCompiler() => _compiler.Dispose();

    [TestCaseSource(nameof(Kernels))]
    public void Every_kernel_compiles_and_stays_in_registers(GpuKernel kernel)
    {
        if (!kernel.RunsOn(architecture))
        {
            string needed = $"{kernel.Name} needs sm_{kernel.MinArchitecture}", found = $"sm_{architecture}";
            Assert.That(
                () => _compiler.Compile(kernel), Throws.TypeOf<NotSupportedException>().With.Message.Contains(needed).And.Message.Contains(found));
            return;
        }
        PtxModule module = Compile(kernel);

        Assert.That(module.Text, Does.Contain($".version {(kernel.MinArchitecture >= 90 ? "8.3" : "8.0")}\n"));
        Assert.That(module.Text, Does.Contain($".target {target}\n"));
        Assert.That(module.Text, Does.Contain($".visible .entry {module.EntryPoint}("));
        Assert.That(module.Text, Does.Not.Contain(".local"), "local memory");
        Assert.That(Body(module), Does.Not.Contain("call"), "everything is inlined");
        Assert.That(Regex.Matches(module.Text, @"(?<!red\.global\.)\b(mul|add|sub)\.f32"), Is.Empty, "operations that may be fused");
        Assert.That(Regex.Matches(module.Text, @"\b(ld|st)\.(f32|b32|u32|b64|u16|b16)"), Is.Empty, "accesses without an address space");
    }

    [TestCase(nameof(GpuMatMul), "ld.global.nc.v4.b32")]
    [TestCase(nameof(GpuAttention), "ld.global.v4.b32")]
    [TestCase(nameof(GpuSampling), "ld.global.v4.b32", "ex2.approx.ftz.f32", "atom.add.shared.u32", "mul.hi.u64", "div.rn.f32")]
    [TestCase(nameof(GpuAttention), "atom.acq_rel.gpu.global.add.s32")]
    [TestCase("GpuTensorMatMul", "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "cp.async.cg.shared.global", "ldmatrix.sync.aligned.m8n8.x4")]
    [TestCase(nameof(GpuTensorAttention), "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "ld.global.v4.b32", "st.global.v4.b32", "prmt.b32")]
    [TestCase(nameof(GpuDecodeAttention), "red.global.max.s32", "cp.async.cg.shared.global.L2::256B", "ldmatrix.sync.aligned.m8n8.x4.trans", "movmatrix.sync", "griddepcontrol.wait", "cp.async.mbarrier.arrive.noinc.shared::cta.b64")]
    [TestCase(nameof(GpuCodeRound<>), "cvt.pack.sat.s8.s32.b32", "mapa.shared::cluster.u32", "ld.shared::cluster.b32", "barrier.cluster.arrive.release.aligned")]
    [TestCase(nameof(GpuRingMatMul<>), "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8", "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8", ".reg .b32\t%f")]
    [TestCase("GpuFp8MatMul", "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3", "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3", "prefetch.global.L2")]
    [TestCase(nameof(GpuPromptAttention), "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16", "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16", "cp.async.bulk.tensor.3d")]
    [TestCase(nameof(IntrinsicKernels), "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cp.async.cg.shared.global", "ldmatrix.sync.aligned.m8n8.x4")]
    public void Instructions_are_those_that_were_meant(string declaringType, params string[] instructions)
    {
        GpuKernel[] kernels = [.. All.Where(kernel => kernel.Method.DeclaringType!.Name.Split('`')[0] == declaringType && kernel.RunsOn(architecture))];
        if (kernels.Length == 0) return;
        string text = string.Concat(kernels.Select(kernel => Compile(kernel).Text));
        foreach (string instruction in instructions) Assert.That(text, Does.Contain(instruction));
    }

    [Test]
    public void Every_intrinsic_is_used_by_a_kernel()
    {
        if (architecture != 90) return;
        string text = string.Concat(All.Select(kernel => Compile(kernel).Text));
        foreach ((MethodInfo method, PtxAttribute ptx) in PtxIntrinsics.All)
        {
            // The longest word is the instruction, or the special register that it reads.
            string instruction = ptx.Template.Split(' ').MaxBy(word => word.Length)!.TrimEnd(';');
            Assert.That(text, Does.Contain(instruction), $"{method.DeclaringType!.Name}.{method.Name}");
        }
    }

    [Test]
    public void Dynamic_shared_memory_is_aligned_for_swizzled_matrices_and_must_be_declared()
    {
        Assert.That(_compiler.Compile(HopperKernels.LargeKernel).Text, Does.Contain($".extern .shared .align 1024 .b8 {Shared.Symbol}[];\n"));
        GpuKernel undeclared = new GpuKernel<WordArguments>(HopperKernels.LargeKernel.Entry);
        Assert.That(() => _compiler.Compile(undeclared), Throws.TypeOf<NotSupportedException>().With.Message.Contains("uses dynamic shared memory"));
    }

    [Test]
    public void Accumulators_of_warp_groups_are_changed_in_place()
    {
        if (architecture != 90) return;
        // GpuRelayMatMul takes its own from other groups; GpuFp8MatMul adds its own up between.
        string[] types = [nameof(GpuRingMatMul<>), nameof(GpuHeldMatMul<,,>)];
        IEnumerable<GpuKernel> matmuls = All.Where(kernel => Array.Exists(types, type => kernel.Name.StartsWith($"{type}<", StringComparison.Ordinal)));
        foreach (GpuKernel kernel in matmuls.Concat(WarpGroupKernels.All))
        {
            // After a wait for all products there may be another loop, whose accumulators are copied.
            string[] loops = [.. Compile(kernel).Text.Split("wgmma.wait_group.sync.aligned 0;").Where(part => part.Contains("wgmma.mma_async", StringComparison.Ordinal))];
            Assert.That(loops, Is.Not.Empty, kernel.Name);
            foreach (string loop in loops)
            {
                string[] lists = [.. Regex.Matches(loop, @"wgmma\.mma_async\S+ \{([^}]*)\}").Select(match => match.Groups[1].Value)];
                Assert.That(lists, Is.All.EqualTo(lists[0]), kernel.Name);
                // A copy between operations would make the driver's compiler wait after each.
                string between = loop[loop.IndexOf("wgmma.fence", StringComparison.Ordinal)..loop.LastIndexOf("wgmma.commit_group", StringComparison.Ordinal)];
                string[] accumulators = lists[0].Split(", ");
                IEnumerable<string> copied = Regex.Matches(between, @"\bmov\.(?:f32|b32)\s+(\S+), (\S+);").SelectMany(match => (string[])[match.Groups[1].Value, match.Groups[2].Value]);
                Assert.That(copied.Intersect(accumulators), Is.Empty, kernel.Name);
            }
        }
    }

    [Test]
    public void Accumulators_that_are_used_again_are_refused()
    {
        if (architecture != 90) return;
        Assert.That(() => _compiler.Compile(WarpGroupKernels.Reuse), Throws.TypeOf<NotSupportedException>().With.Message.Contains("used again"));
    }

    /// <summary>The variants that do on the way what other kernels do by themselves.</summary>
    private static IEnumerable<TestCaseData> Fused =>
        from kernel in (GpuKernel[])[GpuTensorAttention.Decode64, GpuTensorAttention.Decode128, GpuTensorAttention.Decode256]
        select new TestCaseData(kernel).SetArgDisplayNames(kernel.Name);

    [TestCaseSource(nameof(Fused))]
    public void Fused_kernels_use_tensor_cores_and_read_the_number_of_rows(GpuKernel kernel)
    {
        string body = Body(Compile(kernel));
        Assert.That(body, Does.Contain("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"));
        Assert.That(body, Does.Contain("ld.global.v4.b32"));
        Assert.That(body, Does.Contain("sqrt"), "the norm is in it");
        Assert.That(body, Does.Contain("ld.global.b32"));
    }

    /// <summary>But for jumps and moves, which depend on what was compiled before.</summary>
    [Test]
    public void No_operation_depends_on_parts()
    {
        if (architecture != 90) return;
        GpuKernel<MatMulArguments> kernel = GpuHeldMatMul<PackedQ8_0, HalfScaling, Sums128>.Kernel;
        Assert.That(kernel.Parts, Is.Not.Empty);
        GpuKernel whole = new GpuKernel<MatMulArguments>(kernel.Entry, kernel.GroupSize) { MinArchitecture = 90, ForOneArchitecture = true, SharedBytes = kernel.SharedBytes };
        using PtxCompiler another = new(architecture);
        string[] found = Operations(Compile(kernel));
        Assert.That(found, Has.Length.GreaterThan(20));
        Assert.That(string.Join(", ", found), Is.EqualTo(string.Join(", ", Operations(another.Compile(whole)))));

        // How often there is each instruction for floats, for matrices, and with a kind of memory.
        static string[] Operations(PtxModule module) =>
        [
            .. Regex.Matches(Body(module), @"^\t(?!mov|selp|setp)[a-z]\S*(f16|f32|matrix|wgmma|shared|global|mbarrier)\S*", RegexOptions.Multiline)
                .GroupBy(match => match.Value.Trim()).OrderBy(group => group.Key, StringComparer.Ordinal).Select(group => $"{group.Count()} {group.Key}"),
        ];
    }

    [Test]
    public void Parts_that_cannot_be_compiled_are_refused()
    {
        GpuKernel kernel = new GpuKernel<WordArguments>(_ => CreateObject()) { Parts = [((Func<object>)CreateObject).Method] };
        using PtxCompiler compiler = new(architecture);
        Assert.That(() => compiler.Compile(kernel), Throws.TypeOf<NotSupportedException>().With.Message.Contains("System.Object"));
    }

    private static object CreateObject() => new();

    private PtxModule Compile(GpuKernel kernel)
    {
        if (!_compiled.TryGetValue(kernel, out PtxModule? module)) _compiled[kernel] = module = _compiler.Compile(kernel);
        return module;
    }

    private static string Body(PtxModule module) => module.Text[module.Text.IndexOf($".visible .entry {module.EntryPoint}(", StringComparison.Ordinal)..];
}
