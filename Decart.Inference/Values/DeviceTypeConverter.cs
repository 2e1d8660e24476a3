using System.ComponentModel;
using System.Globalization;

namespace Decart.Inference.Values;

/// <summary>Lets configuration and command lines name a device by its text.</summary>
internal sealed class DeviceTypeConverter : TypeConverter
{
    public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) =>
        sourceType == typeof(string) || base.CanConvertFrom(context, sourceType);

    public override object? ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) =>
        value is string text ? Device.Parse(text) : base.ConvertFrom(context, culture, value);
}
