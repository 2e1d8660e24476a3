using System.Globalization;
using System.Text;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Draws who holds which pages: a row of cells for each sequence's range of addresses, the physical pages below, and a line from each cell to its page.
/// Pages that several sequences hold have a colour of their own. For light and dark backgrounds.
/// </summary>
internal sealed class KvMapPicture
{
    private const int Margin = 24, Cell = 46, Gap = 4, RowHeight = 58, LabelWidth = 236, PagesTop = 120, CellHeight = 30;

    private static readonly string[] Colours = ["#4c8dd6", "#d9822b", "#3f9f6b", "#b65fb0", "#c9504a", "#2f9c9c", "#8a7bd8", "#a98b2d"];

    private readonly KvMap _map;
    private readonly IReadOnlyList<string> _names;
    private readonly Dictionary<int, int> _holders; // of a physical page, how many
    private readonly int[] _pages; // those drawn, in order
    private readonly StringBuilder _svg = new();

    /// <param name="map">What to draw.</param>
    /// <param name="names">What the map's sequences are, in its order.</param>
    public KvMapPicture(KvMap map, IReadOnlyList<string> names)
    {
        (_map, _names) = (map, names);
        _holders = map.Sequences.SelectMany(sequence => sequence.Pages).GroupBy(page => page).ToDictionary(group => group.Key, group => group.Count());
        _pages = [.. Enumerable.Range(0, Math.Max(1, _holders.Keys.Max() + 1))];
    }

    private int Width => LabelWidth + (2 * Margin) + (Math.Max(_map.Sequences.Max(sequence => sequence.Pages.Count) + 3, _pages.Length) * (Cell + Gap));

    private int PhysicalY => Margin + 44 + (_map.Sequences.Count * RowHeight) + PagesTop;

    public string Draw()
    {
        Begin();
        foreach ((int row, KvMapSequence sequence) in _map.Sequences.Index()) DrawLines(row, sequence);
        foreach ((int row, KvMapSequence sequence) in _map.Sequences.Index()) DrawRange(row, sequence);
        DrawPages();
        _svg.Append("</svg>\n");
        return _svg.ToString();
    }

    private void Begin()
    {
        int height = PhysicalY + CellHeight + 80;
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {height}\" width=\"{Width}\" height=\"{height}\" role=\"img\">\n");
        Add($"<title>Ranges of addresses of {_map.Sequences.Count} sequences and the physical pages mapped there</title>\n");
        Add($"""
            <style>
              text {"{"} font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; fill: #24292f {"}"}
              .head {"{"} font-size: 15px; font-weight: 600 {"}"}
              .small {"{"} font-size: 11px; fill: #59636e {"}"}
              .number {"{"} font-size: 12px; font-weight: 600; fill: #ffffff; text-anchor: middle; paint-order: stroke; stroke: #000000; stroke-opacity: 0.45; stroke-width: 2.5px; stroke-linejoin: round {"}"}
              .back {"{"} fill: #ffffff {"}"}
              .empty {"{"} fill: none; stroke: #8c959f; stroke-dasharray: 3 3 {"}"}
              .free {"{"} fill: #d0d7de {"}"}
              @media (prefers-color-scheme: dark) {"{"}
                text {"{"} fill: #e6edf3 {"}"} .small {"{"} fill: #9198a1 {"}"} .back {"{"} fill: #0d1117 {"}"} .free {"{"} fill: #3d444d {"}"}
              {"}"}
            </style>
            <rect class="back" width="100%" height="100%" rx="10"/>

            """);
        Add($"<text class=\"head\" x=\"{Margin}\" y=\"{Margin + 16}\">Virtual addresses: one range a sequence, its tokens one after another</text>\n");
    }

    private void DrawLines(int row, KvMapSequence sequence)
    {
        for (int i = 0; i < sequence.Pages.Count; i++)
        {
            int page = sequence.Pages[i];
            double x1 = CellX(i) + (Cell / 2.0), y1 = RowY(row) + CellHeight, x2 = PageX(page) + (Cell / 2.0), y2 = PhysicalY;
            double bend = Math.Max(40, (y2 - y1) / 2);
            Add($"<path d=\"M{x1:0.#} {y1} C{x1:0.#} {y1 + bend:0.#} {x2:0.#} {y2 - bend:0.#} {x2:0.#} {y2}\" fill=\"none\" stroke=\"{Colour(page)}\" stroke-width=\"1.6\" stroke-opacity=\"0.75\"/>\n");
        }
    }

    private void DrawRange(int row, KvMapSequence sequence)
    {
        int y = RowY(row);
        Add($"<text x=\"{Margin}\" y=\"{y + 14}\">{Escape(_names[row])}</text>\n");
        Add($"<text class=\"small\" x=\"{Margin}\" y=\"{y + 29}\">0x{sequence.Address:x}, {sequence.Tokens} tokens</text>\n");
        for (int i = 0; i < sequence.Pages.Count; i++)
        {
            int page = sequence.Pages[i];
            Add($"<rect class=\"back\" x=\"{CellX(i)}\" y=\"{y}\" width=\"{Cell}\" height=\"{CellHeight}\" rx=\"4\"/>\n");
            DrawFilled(CellX(i), y, page, Filled(sequence.Tokens, i));
        }
        for (int i = 0; i < 2; i++)
        {
            Add($"<rect class=\"empty\" x=\"{CellX(sequence.Pages.Count + i) + 0.5}\" y=\"{y + 0.5}\" width=\"{Cell - 1}\" height=\"{CellHeight - 1}\" rx=\"4\"/>\n");
        }
        Add($"<text class=\"small\" x=\"{CellX(sequence.Pages.Count + 2) + 2}\" y=\"{y + 20}\">…</text>\n");
    }

    private void DrawPages()
    {
        foreach (int page in _pages)
        {
            bool held = _holders.TryGetValue(page, out int holders);
            if (held) DrawFilled(PageX(page), PhysicalY, page, 1);
            else Add($"<rect class=\"free\" x=\"{PageX(page)}\" y=\"{PhysicalY}\" width=\"{Cell}\" height=\"{CellHeight}\" rx=\"4\"/>\n");
            if (holders > 1) Add($"<text class=\"small\" x=\"{PageX(page) + (Cell / 2)}\" y=\"{PhysicalY + CellHeight + 15}\" text-anchor=\"middle\">held {holders}×</text>\n");
        }
        int separate = _map.Sequences.Sum(sequence => sequence.Pages.Count);
        Add($"<text class=\"head\" x=\"{Margin}\" y=\"{PhysicalY + 14}\">Physical pages</text>\n");
        Add($"<text class=\"small\" x=\"{Margin}\" y=\"{PhysicalY + 29}\">of {_map.PageBytes / 1024} KiB, {(double)_map.PageBytes / _map.TokenBytes:0.#} tokens each</text>\n");
        Add($"<text class=\"small\" x=\"{Margin}\" y=\"{PhysicalY + CellHeight + 44}\">{separate} mappings of {_holders.Count} physical pages; blue ones are shared.</text>\n");
        Add($"<text class=\"small\" x=\"{Margin}\" y=\"{PhysicalY + CellHeight + 60}\">Pale: no token is written there yet. Dashed: addresses without memory.{(_pages.Length > _holders.Count ? " Grey: pages that nobody holds." : "")}</text>\n");
    }

    /// <summary>A page in its colour, pale where nothing is written, with its number.</summary>
    private void DrawFilled(int x, int y, int page, double share)
    {
        string colour = Colour(page);
        Add($"<rect x=\"{x}\" y=\"{y}\" width=\"{Cell}\" height=\"{CellHeight}\" rx=\"4\" fill=\"{colour}\" fill-opacity=\"0.45\"/>\n");
        if (share > 0) Add($"<rect x=\"{x}\" y=\"{y}\" width=\"{Cell * share:0.#}\" height=\"{CellHeight}\" rx=\"4\" fill=\"{colour}\"/>\n");
        Add($"<text class=\"number\" x=\"{x + (Cell / 2)}\" y=\"{y + 20}\">{page}</text>\n");
    }

    private double Filled(int tokens, int index) => Math.Clamp(((double)tokens * _map.TokenBytes / _map.PageBytes) - index, 0, 1);

    /// <summary>Pages of one sequence alone have that sequence's colour, shared ones the first.</summary>
    private string Colour(int page)
    {
        if (_holders.GetValueOrDefault(page) > 1) return Colours[0];
        int row = _map.Sequences.Index().First(pair => pair.Item.Pages.Contains(page)).Index;
        return Colours[1 + (row % (Colours.Length - 1))];
    }

    private int RowY(int row) => Margin + 40 + (row * RowHeight);

    private int CellX(int index) => Margin + LabelWidth + (index * (Cell + Gap));

    private int PageX(int page) => Margin + LabelWidth + (page * (Cell + Gap));

    private static string Escape(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);

    private void Add(FormattableString text) => _svg.Append(text.ToString(CultureInfo.InvariantCulture));
}
