using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the matmul's kernel: by <c>wgmma</c> on Hopper GPUs, by <c>mma.sync</c> where there are other tensor cores, else the portable one.
/// The first two have the same bits for any number of rows.
/// </summary>
internal sealed class GpuMatMulLauncher(IGpuDevice device) : IDisposable
{
    private readonly GpuBuffer _operand = new(device.Memory), _codes = new(device.Memory), _ordered = new(device.Memory);
    private readonly bool _hasRing = device.HasTensorCores && device.CanRun(GpuRingMatMul<Sums256>.Kernel);

    /// <summary>Every kernel, for whoever compiles them ahead of need.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } =
    [
        GpuNorm.Kernel, GpuNorm.PairKernel, GpuNorm.LongKernel, GpuNorm.ClusterKernel, GpuRound.Kernel, GpuPadding.Kernel, GpuColumnOrder.Kernel, GpuMatMul.Kernel,
        GpuTensorMatMul<Sums8>.Kernel, GpuTensorMatMul<Sums16>.Kernel, GpuTensorMatMul<Sums32>.Kernel, GpuTensorMatMul<Sums64>.Kernel,
        .. BlockSums.Sizes.Select(GpuRingMatMul.Kernel),
    ];

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _operand.Moves + _codes.Moves + _ordered.Moves;

    /// <summary>The kernels for codes on both sides.</summary>
    public static IReadOnlyList<GpuKernel> Codes { get; } =
    [
        GpuCodePack.Kernel, GpuCodePack.ScaleKernel, GpuCodePack.NibbleKernel, GpuCodeRound<FloatCodes>.Kernel, GpuCodeRound<IntegerCodes>.Kernel,
        GpuCodeRound<FloatCodes>.KnownKernel, GpuCodeRound<IntegerCodes>.KnownKernel,
        GpuNorm.FloatCodesKernel, GpuNorm.PairFloatCodesKernel, GpuNorm.ClusterFloatCodesKernel,
        GpuNorm.IntegerCodesKernel, GpuNorm.PairIntegerCodesKernel, GpuNorm.ClusterIntegerCodesKernel,
        .. Enum.GetValues<CodeScaling>().SelectMany(scaling => BlockSums.Sizes.SelectMany(
            rows => (GpuKernel[])[CodeKernel(scaling, rows, GpuNibbleRelayMatMul.MaxTiles), CodeKernel(scaling, rows, GpuNibbleRelayMatMul.MaxTiles + 1)])).Distinct(),
    ];

    /// <summary>Whether codes of few bits can be multiplied with codes of 8 bits.</summary>
    public static bool MultipliesCodes(IGpuDevice device) => device.HasTensorCores && device.CanRun(GpuFp8MatMul<Sums256, RowScales>.Kernel);

    /// <summary>Whether weights may stay in few bits.</summary>
    public static bool MultipliesPacked(IGpuDevice device) =>
        device.PacksWeights && device.HasTensorCores && device.CanRun(GpuHeldMatMul<PackedQ8_0, HalfScaling, Sums64>.Kernel);

    /// <summary>Starts a product.</summary>
    /// <param name="arguments">The operation, without how x and y lie.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="format">How the weight is packed; null for halves.</param>
    public void Launch(MatMulArguments arguments, int rows, PackedFormat? format = null)
    {
        arguments.XBlockRows = arguments.YBlockRows = CoreTiles.OperandBlockRows(rows);
        if (_hasRing) LaunchRing(arguments, GpuRingPlan.Best(rows, arguments.WeightRows, arguments.Stride, device.Multiprocessors, format), format);
        else LaunchPlain(arguments, rows);
        if (arguments.HalfY != 0) ClearPadding(arguments.Count, arguments.Y, arguments.Columns, rows);
    }

    /// <summary>Starts a product of codes.</summary>
    /// <param name="arguments">The operation, without x and how y lies.</param>
    /// <param name="x">What <see cref="NormaliseToCodes"/> or <see cref="RoundToCodes"/> has made for it.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="scaling">How the weight's codes are scaled.</param>
    public void LaunchCodes(MatMulArguments arguments, CodeOperand x, int rows, CodeScaling scaling)
    {
        GpuRingPlan plan = x.Plan;
        (arguments.X, arguments.XScales, arguments.XBlockRows) = (x.Codes, x.Scales, plan.OperandRows);
        arguments.Stride = ByteTiles.HalfStride(arguments.Stride);
        arguments.YBlockRows = CoreTiles.OperandBlockRows(rows);
        Launch(CodeKernel(scaling, plan.BlockRows, plan.TilesPerPass), arguments, plan);
        if (arguments.HalfY != 0) ClearPadding(arguments.Count, arguments.Y, arguments.Columns, rows);
    }

    /// <summary>Makes an operand of codes of one of halves; it is valid until the next one is made.</summary>
    /// <param name="x">The halves.</param>
    /// <param name="maxima">See <see cref="RowMaxima.Take"/>.</param>
    /// <param name="count">Address of the number of rows.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="weightRows">Padded rows of the weight that it will be multiplied with.</param>
    /// <param name="stride">Padded columns.</param>
    /// <param name="scaling">How the weight's codes are scaled.</param>
    public CodeOperand RoundToCodes(long x, (nint Own, nint Spent) maxima, long count, int rows, int weightRows, int stride, CodeScaling scaling)
    {
        CodeOperand operand = ReserveCodes(rows, weightRows, stride, scaling);
        CodeRoundArguments round = new()
        {
            Count = count,
            X = x,
            Y = operand.Codes,
            Scales = operand.Scales,
            Maxima = maxima.Own,
            SpentMaxima = maxima.Spent,
            Stride = stride,
            XBlockRows = CoreTiles.OperandBlockRows(rows),
            YBlockRows = operand.Plan.OperandRows,
        };
        if (scaling.AreIntegers()) GpuCodeRound<IntegerCodes>.Launch(device, round, rows);
        else GpuCodeRound<FloatCodes>.Launch(device, round, rows);
        return operand;
    }

    /// <summary>Normalises rows to an operand of codes, which is valid until the next one is made; see <see cref="GpuNorm.MakesCodes"/>.</summary>
    /// <param name="norm">The norm, without where to store.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="weightRows">Padded rows of the weight that they will be multiplied with.</param>
    /// <param name="scaling">How the weight's codes are scaled.</param>
    public CodeOperand NormaliseToCodes(NormArguments norm, int rows, int weightRows, CodeScaling scaling)
    {
        norm.YStride = CoreTiles.PaddedColumns(norm.Columns);
        CodeOperand operand = ReserveCodes(rows, weightRows, norm.YStride, scaling);
        (norm.Y, norm.CodeScales, norm.YBlockRows) = (operand.Codes, operand.Scales, operand.Plan.OperandRows);
        GpuNorm.Launch(device, norm, rows, scaling.AreIntegers());
        return operand;
    }

    /// <summary>The blocks of rows for <see cref="LaunchExperts"/>.</summary>
    /// <param name="pairs">Tokens, each as often as it has experts.</param>
    /// <param name="experts">Experts of the model.</param>
    public ExpertBlockPlan PlanExperts(int pairs, int experts) =>
        ExpertBlockPlan.Create(pairs, experts, _hasRing ? ExpertBlockPlan.MaxRows : device.HasTensorCores ? Sums64.Columns : GpuMatMul.ExpertRows);

    /// <summary>Starts a product for each block of rows of an expert; rows of y are those of x.</summary>
    /// <param name="arguments">The operation, without how x and y lie.</param>
    /// <param name="blocks">The blocks.</param>
    /// <param name="format">How the weights are packed; null for halves.</param>
    public void LaunchExperts(MatMulArguments arguments, in ExpertBlockPlan blocks, PackedFormat? format)
    {
        arguments.XBlockRows = arguments.YBlockRows = blocks.Rows;
        if (_hasRing)
        {
            GpuRingPlan plan = GpuRingPlan.Experts(blocks, arguments.WeightRows, arguments.Stride, device.Multiprocessors, format);
            LaunchRing(arguments, plan, format);
        }
        else if (device.HasTensorCores)
        {
            device.Launch(TensorKernel(blocks.Rows), new GpuGrid(blocks.Most, CeilingDivide(arguments.WeightRows, GpuTensorMatMul<Sums8>.WeightRows)), arguments);
        }
        else
        {
            LaunchPortable(arguments, blocks.Rows, blocks.Most);
        }
        if (arguments.HalfY != 0) ClearPadding(ExpertBlock.RowsAddress(arguments.ExpertBlocks), arguments.Y, arguments.Columns, blocks.MostRows, blocks.Rows);
    }

    /// <summary>Makes room for operands.</summary>
    public void ReserveOperand(int rows, int columns) => _operand.Reserve(GpuActivations.OperandBytes(rows, columns));

    /// <summary>Normalises rows to an operand, which is valid until the next one is made.</summary>
    /// <param name="norm">The norm, without where to store.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Normalise(NormArguments norm, int rows)
    {
        norm.YStride = CoreTiles.PaddedColumns(norm.Columns);
        norm.YBlockRows = CoreTiles.OperandBlockRows(rows);
        ReserveOperand(rows, norm.Columns);
        norm.Y = _operand.Address;
        GpuNorm.Launch(device, norm, rows);
        return _operand.Address;
    }

    /// <summary>Rounds rows of float32 to an operand, which is valid until the next one is made.</summary>
    /// <param name="x">Where the rows are.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="count">Address of their number.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Round(GpuActivations x, int first, nint count, int rows)
    {
        ReserveOperand(rows, x.Columns);
        RoundArguments arguments = new()
        {
            Count = count,
            X = x.RowAddress(first),
            Y = _operand.Address,
            XStride = x.Stride,
            YStride = CoreTiles.PaddedColumns(x.Columns),
            YBlockRows = CoreTiles.OperandBlockRows(rows),
            Columns = x.Columns,
        };
        device.Launch(GpuRound.Kernel, new GpuGrid(rows), arguments);
        return _operand.Address;
    }

    /// <summary>Brings an operand into the order of a weight's columns; the result is valid until the next time.</summary>
    /// <param name="x">The operand.</param>
    /// <param name="order">See <see cref="GpuPackedWeight.ColumnOrder"/>.</param>
    /// <param name="count">Address of the number of rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Order(nint x, nint order, nint count, int columns, int rows)
    {
        _ordered.Reserve(GpuActivations.OperandBytes(rows, columns));
        ColumnOrderArguments arguments = new()
        {
            Count = count,
            X = x,
            Y = _ordered.Address,
            Order = order,
            Columns = columns,
            Stride = CoreTiles.PaddedColumns(columns),
            BlockRows = CoreTiles.OperandBlockRows(rows),
        };
        GpuColumnOrder.Launch(device, arguments, rows);
        return _ordered.Address;
    }

    /// <summary>Makes the padding of an operand's columns zeros.</summary>
    /// <param name="count">Address of the number of rows.</param>
    /// <param name="y">The operand.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public void ClearPadding(long count, long y, int columns, int rows) => ClearPadding(count, y, columns, rows, CoreTiles.OperandBlockRows(rows));

    private void ClearPadding(long count, long y, int columns, int rows, int blockRows)
    {
        int stride = CoreTiles.PaddedColumns(columns);
        if (columns == stride) return;
        PaddingArguments arguments = new()
        {
            Count = count,
            Y = y,
            Columns = columns,
            Stride = stride,
            BlockRows = blockRows,
        };
        device.Launch(GpuPadding.Kernel, new GpuGrid(CeilingDivide(rows, GpuPadding.Rows)), arguments);
    }

    public void Dispose()
    {
        _operand.Dispose();
        _codes.Dispose();
        _ordered.Dispose();
    }

    /// <summary>Starts a product by <see cref="GpuRingMatMul{TSums}"/>, or of a packed weight.</summary>
    /// <param name="arguments">The operation, without how work is divided.</param>
    /// <param name="plan">How it is.</param>
    /// <param name="format">How the weight is packed; null for halves.</param>
    public void LaunchRing(MatMulArguments arguments, GpuRingPlan plan, PackedFormat? format = null) =>
        Launch(format?.MatMul(plan.BlockRows, plan.TilesPerPass, arguments.Scaling) ?? GpuRingMatMul.Kernel(plan.BlockRows), arguments, plan);

    private void Launch(GpuKernel<MatMulArguments> kernel, MatMulArguments arguments, GpuRingPlan plan)
    {
        arguments.XBlocks = plan.Blocks;
        arguments.GroupsPerBlock = plan.GroupsPerBlock;
        arguments.TilesPerPass = plan.TilesPerPass;
        arguments.TilesPerUnit = plan.TilesPerUnit;
        device.Launch(kernel, new GpuGrid(plan.Groups, ClusterSize: plan.ClusterSize), arguments);
    }

    private void LaunchPlain(in MatMulArguments arguments, int rows)
    {
        if (!device.HasTensorCores)
        {
            LaunchPortable(arguments, rows, blocks: 1);
            return;
        }
        int groupRows = Math.Min(CoreTiles.OperandBlockRows(rows), Sums64.Columns);
        GpuGrid grid = new(CeilingDivide(rows, groupRows), CeilingDivide(arguments.WeightRows, GpuTensorMatMul<Sums8>.WeightRows));
        device.Launch(TensorKernel(groupRows), grid, arguments);
    }

    private void LaunchPortable(in MatMulArguments arguments, int rows, int blocks)
    {
        int groupSize = Math.Min(GpuMatMul.Kernel.GroupSize, device.MaxGroupSize);
        device.Launch(GpuMatMul.Kernel, new GpuGrid(CeilingDivide(arguments.Columns, groupSize), CeilingDivide(rows, GpuMatMul.TileRows), blocks), arguments);
    }

    private static GpuKernel<MatMulArguments> TensorKernel(int rows) => rows switch
    {
        8 => GpuTensorMatMul<Sums8>.Kernel,
        16 => GpuTensorMatMul<Sums16>.Kernel,
        32 => GpuTensorMatMul<Sums32>.Kernel,
        _ => GpuTensorMatMul<Sums64>.Kernel,
    };

    /// <summary>Codes, and behind them their scales.</summary>
    private CodeOperand ReserveCodes(int rows, int weightRows, int stride, CodeScaling scaling)
    {
        GpuRingPlan plan = GpuRingPlan.Best(rows, weightRows, ByteTiles.HalfStride(stride), device.Multiprocessors, scaling.AreNibbles() ? GpuNibbleMatMul.Tiles : null);
        // Never more for fewer rows: what recorded launches use should not move.
        long halves = GpuActivations.OperandBytes(rows, stride);
        _codes.Reserve((halves / sizeof(ushort)) + (halves / stride / sizeof(ushort) * sizeof(float)));
        return new CodeOperand(_codes.Address, _codes.Address + (nint)((long)plan.Blocks * plan.OperandRows * stride), plan);
    }

    private static GpuKernel<MatMulArguments> CodeKernel(CodeScaling scaling, int blockRows, int tilesPerPass) => scaling switch
    {
        CodeScaling.FloatRows => GpuFp8MatMul.Kernel<RowScales>(blockRows),
        CodeScaling.FloatPieces => GpuFp8MatMul.Kernel<PieceScales>(blockRows),
        CodeScaling.IntegerRows => GpuRingMatMul.IntegerKernel(blockRows),
        CodeScaling.NibblePieces => NibbleKernel<MiddleZeros>(blockRows, tilesPerPass),
        CodeScaling.NibbleZeros => NibbleKernel<OwnZeros>(blockRows, tilesPerPass),
        _ => throw new ArgumentOutOfRangeException(nameof(scaling), scaling, "No such scaling of codes."),
    };

    private static GpuKernel<MatMulArguments> NibbleKernel<TZeros>(int blockRows, int tilesPerPass)
        where TZeros : INibbleZeros =>
        blockRows <= GpuNibbleRelayMatMul.MaxRows && tilesPerPass <= GpuNibbleRelayMatMul.MaxTiles ? GpuNibbleRelayMatMul.Kernel<TZeros>(blockRows) : GpuNibbleMatMul.Kernel<TZeros>(blockRows);

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
