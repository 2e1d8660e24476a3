using System.ComponentModel;
using System.Globalization;

namespace Decart.Inference.Values;

/// <summary>Lets configuration give a prompt as text.</summary>
internal sealed class PromptTypeConverter : TypeConverter
{
    public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) =>
        sourceType == typeof(string) || base.CanConvertFrom(context, sourceType);

    public override object? ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) =>
        value is string text ? Prompt.FromString(text) : base.ConvertFrom(context, culture, value);
}
