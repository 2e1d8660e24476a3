using System.Text.RegularExpressions;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>What kernels become for a GPU, seen without one.</summary>
[TestFixture(80, "sm_80")]
[TestFixture(90, "sm_90a")]
[TestFixture(120, "sm_90")]
internal sealed class PtxTests(int architecture, string target)
{
    private readonly PtxCompiler _compiler = new(architecture);

    private static GpuKernel[] TestKernels => [IntrinsicKernels.MultiplyKernel, IntrinsicKernels.LoadMatricesKernel, IntrinsicKernels.ConvertKernel];

    private static IEnumerable<GpuKernel> All => GpuKernels.All.Concat(TestKernels);

    private static IEnumerable<TestCaseData> Kernels => All.Select(kernel => new TestCaseData(kernel).SetArgDisplayNames(kernel.Name));

    [OneTimeTearDown]
    public void EndCompiler() => _compiler.Dispose();

    [TestCaseSource(nameof(Kernels))]
    public void Every_kernel_compiles_and_stays_in_registers(GpuKernel kernel)
    {
        PtxModule module = _compiler.Compile(kernel);

        Assert.That(module.Text, Does.Contain($".target {target}\n"));
        Assert.That(module.Text, Does.Contain($".visible .entry {module.EntryPoint}("));
        Assert.That(module.Text, Does.Not.Contain(".local"), "local memory");
        Assert.That(Body(module), Does.Not.Contain("call"), "everything is inlined");
        Assert.That(Regex.Matches(module.Text, @"\b(mul|add|sub)\.f32"), Is.Empty, "operations that may be fused");
        Assert.That(Regex.Matches(module.Text, @"\b(ld|st)\.(f32|b32|u32|b64|u16|b16)"), Is.Empty, "accesses without an address space");
    }

    [TestCase(nameof(GpuMatMul), "ld.global.nc.v4.b32")]
    [TestCase(nameof(GpuAttention), "ld.global.v4.b32")]
    [TestCase(nameof(GpuAttention), "atom.acq_rel.gpu.global.add.s32")]
    [TestCase(nameof(GpuTensorMatMul), "ld.global.nc.L1::no_allocate.L2::256B.v4.b32")]
    [TestCase(nameof(GpuTensorMatMul), "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32")]
    [TestCase(nameof(GpuTensorAttention), "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "ld.global.v4.b32", "st.global.v4.b32", "prmt.b32")]
    [TestCase(nameof(IntrinsicKernels), "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cp.async.cg.shared.global", "ldmatrix.sync.aligned.m8n8.x4")]
    public void Instructions_are_those_that_were_meant(string declaringType, params string[] instructions)
    {
        IEnumerable<GpuKernel> kernels = All.Where(kernel => kernel.Method.DeclaringType!.Name == declaringType);
        string text = string.Concat(kernels.Select(kernel => _compiler.Compile(kernel).Text));
        foreach (string instruction in instructions) Assert.That(text, Does.Contain(instruction));
    }

    /// <summary>The variants that do on the way what other kernels do by themselves.</summary>
    private static IEnumerable<TestCaseData> Fused =>
        from kernel in (GpuKernel[])[GpuTensorMatMul.Normed8, GpuTensorAttention.Decode64, GpuTensorAttention.Decode128, GpuTensorAttention.Decode256]
        select new TestCaseData(kernel).SetArgDisplayNames(kernel.Name);

    [TestCaseSource(nameof(Fused))]
    public void Fused_kernels_use_tensor_cores_and_read_the_number_of_rows(GpuKernel kernel)
    {
        string body = Body(_compiler.Compile(kernel));
        Assert.That(body, Does.Contain("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"));
        Assert.That(body, Does.Contain("ld.global.v4.b32"));
        Assert.That(body, Does.Contain("sqrt"), "the norm is in it");
        Assert.That(body, Does.Contain("ld.global.b32"));
    }

    private static string Body(PtxModule module) => module.Text[module.Text.IndexOf($".visible .entry {module.EntryPoint}(", StringComparison.Ordinal)..];
}
