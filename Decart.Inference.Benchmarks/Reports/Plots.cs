using System.Globalization;
using ScottPlot;
using SkiaSharp;

namespace Decart.Inference.Benchmarks.Reports;

/// <summary>One line of a panel: a value for some of the categories.</summary>
/// <param name="Name">In the legend; null to leave it out.</param>
/// <param name="Color">Its number in the palette: lines that belong together share one.</param>
/// <param name="Values">By category.</param>
internal sealed record PlotLine(string? Name, int Color, IReadOnlyDictionary<int, double> Values)
{
    public bool Dashed { get; init; }
}

/// <summary>Panels in one style, and the file that they make together.</summary>
internal static class Plots
{
    private const int PanelWidth = 470, PanelHeight = 380, Gap = 12, PanelsOfRow = 2, PixelsPerUnit = 2;

    private const double Margin = 1.08, MarginOfBars = 1.35; // of an axis beyond the highest value

    private static readonly string[] PreferredFonts = ["DejaVu Sans", "Liberation Sans", "Segoe UI", "Helvetica", "Arial"];

    private static readonly ScottPlot.Palettes.Category10 Palette = new ScottPlot.Palettes.Category10();

    private static readonly Color Ink = Color.FromHex("#333333"), GridInk = Color.FromHex("#e6e6e6");

    /// <summary>Whether text can be drawn here.</summary>
    public static bool HaveFonts => FontNames().Any();

    /// <summary>Writes panels as a PNG file, two in a row.</summary>
    public static void Save(IReadOnlyList<Plot> panels, string path)
    {
        int columns = Math.Min(panels.Count, PanelsOfRow), rows = (panels.Count + columns - 1) / columns;
        using SKSurface surface = SKSurface.Create(new SKImageInfo(columns * PanelWidth * PixelsPerUnit, rows * PanelHeight * PixelsPerUnit));
        surface.Canvas.Clear(SKColors.White);
        surface.Canvas.Scale(PixelsPerUnit);
        for (int i = 0; i < panels.Count; i++)
        {
            int left = i % columns * PanelWidth, top = i / columns * PanelHeight;
            panels[i].Render(surface.Canvas, new PixelRect(left, left + PanelWidth - Gap, top + PanelHeight, top));
        }
        using SKImage image = surface.Snapshot();
        using SKData png = image.Encode(SKEncodedImageFormat.Png, quality: 100);
        using FileStream file = File.Create(path);
        png.SaveTo(file);
    }

    /// <summary>Lines over categories, such as batch sizes, that stand at equal distances.</summary>
    /// <param name="title">The panel's title, with the unit of the vertical axis.</param>
    /// <param name="axis">What the categories are.</param>
    /// <param name="lines">The lines.</param>
    /// <param name="top">What the vertical axis reaches at least.</param>
    public static Plot Lines(string title, string axis, IReadOnlyList<PlotLine> lines, double top = 0)
    {
        int[] categories = [.. lines.SelectMany(line => line.Values.Keys).Distinct().Order()];
        Plot plot = Panel(title, axis);
        plot.Axes.Bottom.SetTicks([.. Enumerable.Range(0, categories.Length).Select(i => (double)i)], [.. categories.Select(category => category.ToString("N0", CultureInfo.InvariantCulture))]);
        plot.Grid.XAxisStyle.IsVisible = false;
        foreach (PlotLine line in lines)
        {
            int[] places = [.. Enumerable.Range(0, categories.Length).Where(i => line.Values.ContainsKey(categories[i]))];
            ScottPlot.Plottables.Scatter scatter = plot.Add.Scatter(
                places.Select(place => (double)place).ToArray(), places.Select(place => line.Values[categories[place]]).ToArray(), Palette.GetColor(line.Color));
            scatter.LineWidth = line.Dashed ? 1.2f : 2;
            scatter.LinePattern = line.Dashed ? LinePattern.Dashed : LinePattern.Solid;
            scatter.MarkerSize = line.Dashed ? 4 : 7;
            scatter.LegendText = line.Name ?? "";
        }
        plot.Axes.SetLimits(-0.5, categories.Length - 0.5, 0, Math.Max(top, lines.SelectMany(line => line.Values.Values).Max() * Margin));
        if (lines.Any(line => line.Name is not null)) plot.ShowLegend(Edge.Bottom).Alignment = Alignment.UpperCenter;
        return plot;
    }

    /// <summary>A lying bar for each name, the first on top, with its value at its end.</summary>
    public static Plot Bars(string title, IReadOnlyList<(string Name, double Value)> bars, string format)
    {
        Plot plot = Panel(title, axis: "");
        for (int i = 0; i < bars.Count; i++)
        {
            plot.Add.Bar(new Bar { Position = -i, Value = bars[i].Value, Size = 0.6, FillColor = Palette.GetColor(0), LineWidth = 0, Orientation = Orientation.Horizontal });
            ScottPlot.Plottables.Text label = plot.Add.Text(" " + bars[i].Value.ToString(format, CultureInfo.InvariantCulture), bars[i].Value, -i);
            label.LabelAlignment = Alignment.MiddleLeft;
            label.LabelFontColor = Ink;
        }
        plot.Axes.Left.SetTicks([.. Enumerable.Range(0, bars.Count).Select(i => (double)-i)], [.. bars.Select(bar => bar.Name)]);
        plot.Grid.YAxisStyle.IsVisible = false;
        plot.Axes.SetLimits(0, bars.Max(bar => bar.Value) * MarginOfBars, 0.5 - bars.Count, 0.5);
        return plot;
    }

    private static Plot Panel(string title, string axis)
    {
        Plot plot = new();
        plot.Title(title, size: 15);
        plot.Axes.Title.Label.Bold = false;
        plot.Axes.Title.FullFigureCenter = true;
        plot.XLabel(axis, size: 12);
        plot.Axes.Bottom.Label.Bold = false;
        plot.Axes.Color(Ink);
        plot.Axes.Right.IsVisible = plot.Axes.Top.IsVisible = false;
        plot.Grid.MajorLineColor = GridInk;
        plot.Font.Set(FontName());
        plot.Axes.Left.MinorTickStyle.Length = plot.Axes.Bottom.MinorTickStyle.Length = 0;
        plot.RenderManager.ClearCanvasBeforeEachRender = false;
        plot.Legend.OutlineColor = Colors.Transparent;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.FontSize = 11;
        return plot;
    }

    private static string FontName() => FontNames().OrderBy(name => Array.IndexOf(PreferredFonts, name) is var place and >= 0 ? place : int.MaxValue).First();

    /// <summary>Where there are no fonts, the library names one without a name.</summary>
    private static IEnumerable<string> FontNames() => SKFontManager.Default.FontFamilies.Where(name => name.Length > 0);
}
