namespace Server.Http;

/// <summary>Puts what describes errors in front of all middleware, so that requests which ASP.NET Core itself refuses (by their host) get the same kind of answer.</summary>
internal sealed class ErrorStartup : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.UseMiddleware<ErrorMiddleware>();
        app.UseStatusCodePages(ErrorMiddleware.DescribeStatusAsync);
        next(app);
    };
}
