using Decart.Inference.Tests.Chat;
using Generate;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Tests.Samples;

/// <summary>The sample's conversation, with a session that always answers the same.</summary>
[CancelAfter(60_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class GenerateChatTests : IDisposable
{
    private readonly StringWriter _output = new(), _notes = new();
    private readonly FakeSession _session = new("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}", "Yes.");

    public void Dispose()
    {
        _output.Dispose();
        _notes.Dispose();
    }

    [Test]
    public async Task Questions_are_answered_until_the_end()
    {
        await RunAsync("One?\n\n Two? \n");
        Assert.That(_session.Requests.Select(request => request.Prompt), Is.EqualTo(new[] { "[user]One?", "[user]One?[assistant]Yes.[user]Two?" }));
        Assert.That(_output.ToString().ReplaceLineEndings("\n"), Is.EqualTo("Yes.\nYes.\n"));
        Assert.That(_notes.ToString(), Does.Contain("10 prompt tokens (4 of them cached), 4 generated").And.Not.Contain("> "));
    }

    [Test]
    public async Task Commands_are_no_questions()
    {
        await RunAsync("/help\nOne?\n/reset\nTwo?\n/exit\nThree?", system: "Be brief.");
        Assert.That(_session.Requests.Select(request => request.Prompt), Is.EqualTo(new[] { "[system]Be brief.[user]One?", "[system]Be brief.[user]Two?" }));
        Assert.That(_notes.ToString(), Does.Contain("/exit").And.Contain("forgotten"));
    }

    [Test]
    public async Task At_a_terminal_there_is_a_sign_to_type_after()
    {
        await RunAsync("One?", interactive: true);
        Assert.That(_notes.ToString(), Does.StartWith("> ").And.EndWith("> "));
    }

    [Test]
    public async Task An_answer_that_is_stopped_stays_as_far_as_it_got()
    {
        using CancellationTokenSource stop = new();
        Generate.Chat chat = new(new StoppingClient(_session.AsChatClient(), stop, updates: 2), new ChatOptions(), null, _output, _notes);
        await Assert.ThatAsync(() => chat.AskAsync("One?", stop.Token), Throws.InstanceOf<OperationCanceledException>());
        await chat.AskAsync("Two?", CancellationToken.None);
        Assert.That(_session.Requests[^1].Prompt, Is.EqualTo("[user]One?[assistant]Ye[user]Two?"));
    }

    [Test]
    public async Task A_question_that_fails_is_not_part_of_the_conversation()
    {
        using Interrupt interrupt = new();
        FakeSession session = new("{% for m in messages %}{% if 'bad' in m.content %}{{ raise_exception('no') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}", "Yes.");
        Generate.Chat chat = new(session.AsChatClient(), new ChatOptions(), null, _output, _notes);
        await chat.RunAsync(new StringReader("bad\nTwo?"), interactive: true, interrupt);
        Assert.That(session.Requests.Select(request => request.Prompt), Is.EqualTo(new[] { "[user]Two?" }));
        Assert.That(_notes.ToString(), Does.Contain("refuses").And.Contain("/reset"));
        await Assert.ThatAsync(() => chat.RunAsync(new StringReader("bad"), interactive: false, interrupt), Throws.TypeOf<ChatTemplateException>());
    }

    private async Task RunAsync(string questions, string? system = null, bool interactive = false)
    {
        using Interrupt interrupt = new();
        await new Generate.Chat(_session.AsChatClient(), new ChatOptions(), system, _output, _notes).RunAsync(new StringReader(questions), interactive, interrupt);
    }

    /// <summary>Cancels after some updates of the first answer.</summary>
    private sealed class StoppingClient(IChatClient inner, CancellationTokenSource stop, int updates) : DelegatingChatClient(inner)
    {
        public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
            IEnumerable<ChatMessage> messages, ChatOptions? options = null, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            int count = 0;
            await foreach (ChatResponseUpdate update in base.GetStreamingResponseAsync(messages, options, cancellationToken))
            {
                yield return update;
                if (++count == updates) await stop.CancelAsync();
            }
        }
    }
}
