using Microsoft.Net.Http.Headers;

namespace Server;

/// <summary>The page at <c>/</c>: its files are part of the program.</summary>
internal static class Page
{
    private static readonly (string Route, string File, string ContentType)[] Files =
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/api.js", "api.js", "text/javascript; charset=utf-8"),
        ("/chat.js", "chat.js", "text/javascript; charset=utf-8"),
        ("/pages.js", "pages.js", "text/javascript; charset=utf-8"),
        ("/page.css", "page.css", "text/css; charset=utf-8"),
    ];

    public static void Map(IEndpointRouteBuilder routes)
    {
        foreach ((string route, string file, string contentType) in Files)
        {
            byte[] content = Read(file);
            routes.MapGet(route, async context =>
            {
                context.Response.ContentType = contentType;
                context.Response.Headers[HeaderNames.CacheControl] = "no-cache";
                context.Response.Headers[HeaderNames.XContentTypeOptions] = "nosniff";
                context.Response.Headers[HeaderNames.ContentSecurityPolicy] = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
                await context.Response.Body.WriteAsync(content, context.RequestAborted);
            });
        }
    }

    private static byte[] Read(string file)
    {
        using Stream stream = typeof(Page).Assembly.GetManifestResourceStream($"page/{file}")!;
        using MemoryStream content = new();
        stream.CopyTo(content);
        return content.ToArray();
    }
}
