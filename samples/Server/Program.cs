using Server;

// Serves a model with OpenAI's API, and a page to look at it.

await using WebApplication app = ServerApp.Create(args);
await app.RunAsync();
