using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Decart.Inference.Tests.Hub;

/// <summary>What was asked of a server.</summary>
internal sealed record HttpRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers)
{
    public string? this[string header] => Headers.GetValueOrDefault(header);

    /// <summary>Where the content should start, as a Range header asks.</summary>
    public int Offset => this["Range"] is { } range ? int.Parse(range["bytes=".Length..^1], CultureInfo.InvariantCulture) : 0;
}

/// <summary>What a server answers.</summary>
internal sealed record HttpReply(int Status, byte[] Body)
{
    public HttpReply(int status, string body = "") : this(status, Encoding.UTF8.GetBytes(body)) { }

    public Dictionary<string, string> Headers { get; init; } = [];

    /// <summary>The length that is announced, when it is not that of the body.</summary>
    public long? AnnouncedLength { get; init; }

    /// <summary>Whether the length of the body is not announced, and its end is that of the connection.</summary>
    public bool HidesLength { get; init; }

    /// <summary>After this many bytes of the body the connection is closed, or held open in silence until the server ends.</summary>
    public int? StopsAfter { get; init; }

    public bool FallsSilent { get; init; }
}

/// <summary>An HTTP server that answers as it is told, also wrongly. One answer a connection.</summary>
internal sealed class HttpServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly Func<HttpRequest, HttpReply> _answer;

    public HttpServer(Func<HttpRequest, HttpReply> answer)
    {
        _answer = answer;
        _listener.Start();
        Address = $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";
        _ = AcceptAsync();
    }

    public string Address { get; }

    public ConcurrentQueue<HttpRequest> Requests { get; } = [];

    public void Dispose()
    {
        _end.Cancel();
        _listener.Stop();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync(_end.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test has ended.
        }
    }

    private async Task ServeAsync(TcpClient connection)
    {
        try
        {
            using (connection)
            {
                NetworkStream stream = connection.GetStream();
                HttpRequest? request = await ReadAsync(stream);
                if (request is null) return;
                Requests.Enqueue(request);
                await WriteAsync(stream, request, _answer(request));
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
        {
            // The client has gone, or the test has ended.
        }
    }

    private async Task<HttpRequest?> ReadAsync(NetworkStream stream)
    {
        using StreamReader reader = new(stream, Encoding.ASCII, leaveOpen: true);
        if ((await reader.ReadLineAsync(_end.Token))?.Split(' ') is not [var method, var path, ..]) return null;
        Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
        while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } line)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            headers[line[..colon]] = line[(colon + 1)..].Trim();
        }
        return new HttpRequest(method, path, headers);
    }

    private async Task WriteAsync(NetworkStream stream, HttpRequest request, HttpReply reply)
    {
        StringBuilder head = new($"HTTP/1.1 {reply.Status} -\r\nConnection: close\r\n");
        if (!reply.HidesLength) head.Append(CultureInfo.InvariantCulture, $"Content-Length: {reply.AnnouncedLength ?? reply.Body.Length}\r\n");
        foreach ((string name, string value) in reply.Headers) head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), _end.Token);
        if (request.Method == "HEAD") return;
        await stream.WriteAsync(reply.Body.AsMemory(0, reply.StopsAfter ?? reply.Body.Length), _end.Token);
        if (reply.FallsSilent) await Task.Delay(Timeout.Infinite, _end.Token);
    }
}
