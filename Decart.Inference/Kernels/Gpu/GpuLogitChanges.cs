using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>What changes logits before a token is chosen from them, by the same operations as on the host.</summary>
internal static class GpuLogitChanges
{
    /// <summary>Penalties, mask and bias, in place. The whole group calls, and may read the logits afterwards.</summary>
    public static void Apply(GpuLogits logits, GpuSamplingRow row)
    {
        for (int i = Group.IdxX * GpuLogits.Vector; i < logits.Count; i += Group.DimX * GpuLogits.Vector)
        {
            long address = logits.Address + ((long)i * sizeof(float));
            Float4 values = Global.LoadFloat4(address);
            UInt4 counts = default;
            if (row.Counts != 0) counts = Global.Load16(row.Counts + ((long)i * sizeof(int)));
            int allowed = row.Mask != 0 ? Global.LoadInt(row.Mask + ((long)(i >> 5) * sizeof(int))) >> (i & 31) : -1;
            Float4 changed = new()
            {
                A = (allowed & 1) != 0 ? Penalise(values.A, (int)counts.A, row) : float.NegativeInfinity,
                B = (allowed & 2) != 0 ? Penalise(values.B, (int)counts.B, row) : float.NegativeInfinity,
                C = (allowed & 4) != 0 ? Penalise(values.C, (int)counts.C, row) : float.NegativeInfinity,
                D = (allowed & 8) != 0 ? Penalise(values.D, (int)counts.D, row) : float.NegativeInfinity,
            };
            Global.StoreFloat4(address, changed);
        }
        Group.Barrier();
        for (int i = Group.IdxX; i < row.BiasCount; i += Group.DimX)
        {
            long entry = row.Bias + ((long)i * GpuSamplingRow.BiasBytes);
            long address = logits.Address + ((long)Global.LoadInt(entry) * sizeof(float));
            Global.StoreFloat(address, Global.LoadFloat(address) + Global.LoadFloat(entry + sizeof(int)));
        }
        Group.Barrier();
    }

    private static float Penalise(float logit, int count, GpuSamplingRow row)
    {
        if (count == 0) return logit;
        float penalised = logit > 0 ? logit / row.Numbers.RepetitionPenalty : logit * row.Numbers.RepetitionPenalty;
        return count == 1 ? penalised : penalised - ((row.Numbers.FrequencyPenalty * (count - 1)) + row.Numbers.PresencePenalty);
    }
}
