using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using System.Text;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;
using ILGPU.IR.Types;
using ILGPU.IR.Values;
using ILGPU.Runtime.Cuda;
using CompoundRegister = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.CompoundRegister;
using PrimitiveRegister = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.PrimitiveRegister;
using Register = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.Register;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Makes ILGPU emit the template of a <see cref="PtxAttribute"/> for each call of its method.</summary>
[RequiresUnreferencedCode(GpuSupport.NeedsAllCode)]
internal static class PtxIntrinsics
{
    private static readonly Type[] Groups =
    [
        typeof(Global), typeof(Halves), typeof(E4M3), typeof(BFloats), typeof(Float32), typeof(Integers), typeof(AsyncCopy), typeof(TensorCore),
        typeof(Shared), typeof(MBarrier), typeof(BulkCopy), typeof(TensorCopy), typeof(Cluster), typeof(NamedBarrier), typeof(GridDependency), typeof(WarpGroup), typeof(Pinned), typeof(Vote),
    ];

    /// <summary>Every intrinsic with its PTX.</summary>
    public static IEnumerable<(MethodInfo Method, PtxAttribute Ptx)> All =>
        from type in Groups
        from method in type.GetMethods(BindingFlags.Static | BindingFlags.Public)
        let ptx = method.GetCustomAttribute<PtxAttribute>()
        where ptx is not null
        select (method, ptx);

    /// <summary>Registers all intrinsics with a context that is being built.</summary>
    public static void Register(Context.Builder builder)
    {
        IntrinsicImplementationManager manager = builder.GetIntrinsicManager();
        foreach ((MethodInfo method, PtxAttribute ptx) in All)
        {
            CudaArchitecture architecture = ptx.IsOptional ? CudaArchitecture.SM_80 : Architecture(ptx);
            manager.RegisterMethod(
                method, new PTXIntrinsic(typeof(PtxIntrinsics), nameof(Emit), IntrinsicImplementationMode.GenerateCode, architecture));
        }
    }

    /// <summary>Called by ILGPU to generate the code of one call.</summary>
    internal static void Emit(PTXBackend backend, PTXCodeGenerator generator, Value value)
    {
        MethodCall call = (MethodCall)value;
        PtxAttribute ptx = call.Target.Source.GetCustomAttribute<PtxAttribute>()!;
        if (backend.Architecture < Architecture(ptx)) return;
        string template = ptx.Template;
        string result = ptx.InPlace ? Take(generator, call) : call.Target.IsVoid ? "" : Names(generator, generator.Allocate(call));
        StringBuilder text = new(template.Length + 64);
        for (int i = 0; i < template.Length; i++)
        {
            string? operand = i + 1 == template.Length ? null : (template[i], template[i + 1]) switch
            {
                ('$', 'r') => result,
                ('$', >= '0' and <= '9') => Names(generator, generator.Load(call.Nodes[template[i + 1] - '0'])),
                ('@', >= '0' and <= '9') => SharedAddress(generator, call.Nodes[template[i + 1] - '0']),
                ('#', >= '0' and <= '9') => Constant(call, template[i + 1] - '0'),
                _ => null,
            };
            if (operand is null)
            {
                text.Append(template[i]);
                continue;
            }
            text.Append(operand);
            i++;
        }
        generator.Builder.Append('\t').AppendLine(text.ToString());
    }

    private static CudaArchitecture Architecture(PtxAttribute ptx) => new(ptx.MinArchitecture / 10, ptx.MinArchitecture % 10);

    /// <summary>
    /// Makes the first operand's registers the result's. A copy would be an instruction between those that an asynchronous one may overlap with, and
    /// the driver's compiler would let each wait for the one before. Constants are copied.
    /// </summary>
    private static string Take(PTXCodeGenerator generator, MethodCall call)
    {
        CompoundRegister operand = (CompoundRegister)generator.Load(call.Nodes[0]);
        if (operand.Children.All(child => child is PTXRegisterAllocator.HardwareRegister))
        {
            ThrowIfUsedAgain(call);
            generator.Bind(call, operand);
            return Names(generator, operand);
        }
        string result = Names(generator, generator.Allocate(call)), initial = Names(generator, operand);
        foreach ((string destination, string source) in result.Split(", ").Zip(initial.Split(", ")))
            generator.Builder.Append('\t').AppendLine($"mov.b32 {destination}, {source};");
        return result;
    }

    /// <summary>Looks for another use of the operand, or of what it is made of, as far as it lies in the call's block.</summary>
    private static void ThrowIfUsedAgain(MethodCall call)
    {
        Value operand = call.Nodes[0].Resolve();
        HashSet<Value> gone = [operand];
        if (operand is StructureValue structure) gone.UnionWith(structure.Nodes.ToArray().Select(node => node.Resolve()));
        bool after = false;
        foreach (Value value in call.BasicBlock)
        {
            if (after && value.Nodes.ToArray().Any(node => gone.Contains(node.Resolve())))
                throw new NotSupportedException($"The first operand of {call.Target.Name} is used again.");
            after |= value == call;
        }
    }

    /// <summary>A register with the address that a reference has in shared memory, which ILGPU's own register has where it knows the space.</summary>
    private static string SharedAddress(PTXCodeGenerator generator, Value reference)
    {
        string name = Names(generator, generator.Load(reference));
        MemoryAddressSpace space = ((AddressSpaceType)reference.Type).AddressSpace;
        if (space == MemoryAddressSpace.Shared) return name;
        if (space != MemoryAddressSpace.Generic) throw new NotSupportedException($"Shared memory was expected, found a reference to {space} memory.");
        string shared = "%" + PTXRegisterAllocator.GetStringRepresentation(generator.AllocateRegister(BasicValueType.Int64, PTXRegisterKind.Int64));
        generator.Builder.Append('\t').AppendLine($"cvta.to.shared.u64 {shared}, {name};");
        return shared;
    }

    private static string Constant(MethodCall call, int operand) => call.Nodes[operand].Resolve() is PrimitiveValue constant
        ? constant.Int32Value.ToString(CultureInfo.InvariantCulture)
        : throw new NotSupportedException($"Operand {operand} of {call.Target.Name} must be a constant.");

    private static string Names(PTXCodeGenerator generator, Register register) => register is CompoundRegister compound
        ? string.Join(", ", compound.Children.Select(child => Names(generator, child)))
        : Name(generator, (PrimitiveRegister)register);

    /// <summary>A register's name; a constant is moved into a register first.</summary>
    private static string Name(PTXCodeGenerator generator, PrimitiveRegister register)
    {
        if (register is PTXRegisterAllocator.HardwareRegister hardware) return "%" + PTXRegisterAllocator.GetStringRepresentation(hardware);
        PrimitiveValue value = ((PTXRegisterAllocator.ConstantRegister)register).Value;
        string name = "%" + PTXRegisterAllocator.GetStringRepresentation(generator.AllocateRegister(register.Description));
        generator.Builder.AppendLine(register.BasicValueType switch
        {
            BasicValueType.Float32 => $"\tmov.f32 {name}, 0f{BitConverter.SingleToUInt32Bits(value.Float32Value):X8};",
            BasicValueType.Int64 => string.Create(CultureInfo.InvariantCulture, $"\tmov.b64 {name}, {value.RawValue};"),
            _ => string.Create(CultureInfo.InvariantCulture, $"\tmov.b32 {name}, {(int)value.RawValue};"),
        });
        return name;
    }
}
