namespace Decart.Inference.Tokenization;

/// <summary>What a piece is; the numbers are those of sentencepiece_model.proto.</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>The model that the pieces belong to; the numbers are those of sentencepiece_model.proto.</summary>
internal enum SentencePieceModel
{
    Unigram = 1,
    Bpe = 2,
}

/// <summary>A piece of a vocabulary in SentencePiece's sense.</summary>
internal readonly record struct SentencePiece(string Text, float Score, PieceKind Kind);

/// <summary>The fields of sentencepiece_model.proto that encoding needs, with the defaults that the format gives them.</summary>
internal sealed class SentencePieceProto
{
    private readonly List<SentencePiece> _pieces = [];

    public IReadOnlyList<SentencePiece> Pieces => _pieces;

    public SentencePieceModel Model { get; private set; } = SentencePieceModel.Unigram;
    public bool ByteFallback { get; private set; }
    public bool WhitespaceIsSuffix { get; private set; }
    public int UnknownId { get; private set; }
    public int BosId { get; private set; } = 1;
    public int EosId { get; private set; } = 2;
    public byte[] CharacterMap { get; private set; } = [];
    public bool AddDummyPrefix { get; private set; } = true;
    public bool RemoveExtraWhitespaces { get; private set; } = true;
    public bool EscapeWhitespaces { get; private set; } = true;

    public static SentencePieceProto Read(string file, ReadOnlySpan<byte> bytes)
    {
        SentencePieceProto proto = new();
        ProtobufReader reader = new(file, bytes, path: null);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: proto._pieces.Add(ReadPiece(file, reader.ReadBytes(), proto._pieces.Count)); break;
                case 2: proto.ReadTrainer(new ProtobufReader(file, reader.ReadBytes(), "trainer_spec")); break;
                case 3: proto.ReadNormalizer(new ProtobufReader(file, reader.ReadBytes(), "normalizer_spec")); break;
                default: reader.Skip(); break;
            }
        }
        return proto;
    }

    private static SentencePiece ReadPiece(string file, ReadOnlySpan<byte> bytes, int index)
    {
        string path = $"pieces[{index}]";
        ProtobufReader reader = new(file, bytes, path);
        string text = "";
        float score = 0;
        int kind = (int)PieceKind.Normal;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: text = reader.ReadText("piece"); break;
                case 2: score = reader.ReadSingle(); break;
                case 3: kind = reader.ReadInt32(); break;
                default: reader.Skip(); break;
            }
        }
        if (kind is < (int)PieceKind.Normal or > (int)PieceKind.Byte) throw new ModelLoadException(file, $"{path}.type", $"expected 1 to 6, found {kind}");
        return float.IsFinite(score)
            ? new SentencePiece(text, score, (PieceKind)kind)
            : throw new ModelLoadException(file, $"{path}.score", "expected a finite number, found another");
    }

    private void ReadTrainer(ProtobufReader reader)
    {
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 3: Model = (SentencePieceModel)reader.ReadInt32(); break;
                case 24: WhitespaceIsSuffix = reader.ReadBoolean(); break;
                case 35: ByteFallback = reader.ReadBoolean(); break;
                case 40: UnknownId = reader.ReadInt32(); break;
                case 41: BosId = reader.ReadInt32(); break;
                case 42: EosId = reader.ReadInt32(); break;
                default: reader.Skip(); break;
            }
        }
    }

    private void ReadNormalizer(ProtobufReader reader)
    {
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 2: CharacterMap = reader.ReadBytes().ToArray(); break;
                case 3: AddDummyPrefix = reader.ReadBoolean(); break;
                case 4: RemoveExtraWhitespaces = reader.ReadBoolean(); break;
                case 5: EscapeWhitespaces = reader.ReadBoolean(); break;
                default: reader.Skip(); break;
            }
        }
    }
}
