namespace Decart.Inference.Models;

/// <summary>The numbers of heads and their size, which must be consistent, in a configuration of either format.</summary>
internal static class HeadFields
{
    /// <summary>The size of a head where the configuration does not say it.</summary>
    public static int DefaultHeadDim(ConfigFields fields, string hiddenField, int hidden, int heads) =>
        hidden % heads == 0 ? hidden / heads : throw fields.Wrong(hiddenField, $"a multiple of the {heads} attention heads", hidden);

    /// <summary>The number of key/value heads, by default the family's where that fits, else one for each query head.</summary>
    public static int ReadKvHeads(ConfigFields fields, string field, int heads, int? familyDefault = null)
    {
        int fallback = familyDefault is { } documented && heads % documented == 0 ? documented : heads;
        int kvHeads = fields.OptionalInteger(field, 1, heads) ?? fallback;
        return heads % kvHeads == 0 ? kvHeads : throw fields.Wrong(field, $"a divisor of the {heads} attention heads", kvHeads);
    }
}
