using System.Globalization;
using System.Text;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Dates and times as C's and Python's <c>strftime</c> write them, in English.</summary>
internal static class Strftime
{
    public static string Format(DateTimeOffset time, string format)
    {
        StringBuilder text = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }
            char flag = format[i + 1] is '-' or '_' or '0' or '^' or '#' && i + 2 < format.Length ? format[++i] : '\0';
            text.Append(Flagged(Field(time, format[++i]), flag));
        }
        return text.ToString();
    }

    private static string Flagged(string value, char flag)
    {
        int zeros = value.Length - value.TrimStart('0', ' ').Length;
        if (zeros == value.Length) zeros--;
        return flag switch
        {
            '-' => value[zeros..],
            '_' => new string(' ', zeros) + value[zeros..],
            '0' => new string('0', zeros) + value[zeros..],
            '^' => value.ToUpperInvariant(),
            _ => value,
        };
    }

    private static string Field(DateTimeOffset time, char field) => field switch
    {
        'a' => Named(time, "ddd"),
        'A' => Named(time, "dddd"),
        'b' or 'h' => Named(time, "MMM"),
        'B' => Named(time, "MMMM"),
        'c' => Format(time, "%a %b %e %H:%M:%S %Y"),
        'C' => Number(time.Year / 100, "00"),
        'd' => Number(time.Day, "00"),
        'D' or 'x' => Format(time, "%m/%d/%y"),
        'e' => time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'f' => Number((int)(time.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond), "000000"),
        'F' => Format(time, "%Y-%m-%d"),
        'g' => Number(ISOWeek.GetYear(time.DateTime) % 100, "00"),
        'G' => Number(ISOWeek.GetYear(time.DateTime), "0000"),
        'H' => Number(time.Hour, "00"),
        'I' => Number(Twelve(time.Hour), "00"),
        'j' => Number(time.DayOfYear, "000"),
        'k' => time.Hour.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'l' => Twelve(time.Hour).ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'm' => Number(time.Month, "00"),
        'M' => Number(time.Minute, "00"),
        'n' => "\n",
        'p' => time.Hour < 12 ? "AM" : "PM",
        'P' => time.Hour < 12 ? "am" : "pm",
        'r' => Format(time, "%I:%M:%S %p"),
        'R' => Format(time, "%H:%M"),
        's' => Number(time.ToUnixTimeSeconds(), "0"),
        'S' => Number(time.Second, "00"),
        't' => "\t",
        'T' or 'X' => Format(time, "%H:%M:%S"),
        'u' => Number(time.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)time.DayOfWeek, "0"),
        'U' => Number((time.DayOfYear + 6 - (int)time.DayOfWeek) / 7, "00"),
        'V' => Number(ISOWeek.GetWeekOfYear(time.DateTime), "00"),
        'w' => Number((int)time.DayOfWeek, "0"),
        'W' => Number((time.DayOfYear + 6 - (((int)time.DayOfWeek + 6) % 7)) / 7, "00"),
        'y' => Number(time.Year % 100, "00"),
        'Y' => Number(time.Year, "0"),
        // A clock without a time zone, which transformers gives to templates, writes nothing here.
        'z' or 'Z' => "",
        '%' => "%",
        _ => $"%{field}",
    };

    private static string Named(DateTimeOffset time, string format) => time.ToString(format, CultureInfo.InvariantCulture);

    private static int Twelve(int hour) => hour % 12 == 0 ? 12 : hour % 12;

    private static string Number(long number, string format) => number.ToString(format, CultureInfo.InvariantCulture);
}
