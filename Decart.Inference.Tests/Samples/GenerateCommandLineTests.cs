using System.CommandLine;
using Generate;

namespace Decart.Inference.Tests.Samples;

/// <summary>What the sample's command line asks for.</summary>
internal sealed class GenerateCommandLineTests
{
    [Test]
    public void Without_arguments_the_storyteller_continues_its_own_beginning()
    {
        CommandLine asked = Parse();
        Assert.That(asked.Model, Does.EndWith("storyteller"));
        Assert.That((asked.Prompt, asked.System, asked.Raw, asked.MaxTokens, asked.Temperature, asked.Seed), Is.EqualTo(((string?)null, (string?)null, false, (int?)null, (float?)null, (long?)null)));
    }

    [Test]
    public void Everything_can_be_asked_for() => Assert.That(
        Parse("org/name:Q4_K_M", "Why?", "--system", "Be brief.", "--device=cpu", "--max-tokens=5", "--temperature", "0", "--seed=7"),
        Is.EqualTo(new CommandLine("org/name:Q4_K_M", "Why?", "Be brief.", false, Device.Cpu, 5, 0, 7)));

    [Test]
    public void A_chat_model_can_be_asked_to_continue_texts() => Assert.That(Parse("m", "Once", "--raw").Raw, Is.True);

    [TestCase("--device=gpu", "names no device")]
    [TestCase("--wrong", "is not an option")]
    [TestCase("--max-tokens=many", "many")]
    [TestCase("--raw --system=x", "give one of them")]
    public void Mistakes_are_named(string arguments, string words) =>
        Assert.That(CommandLine.Create(_ => Task.FromResult(0)).Parse(arguments.Split(' ')).Errors.Select(error => error.Message), Has.Some.Contains(words));

    private static CommandLine Parse(params string[] arguments)
    {
        CommandLine? asked = null;
        ParseResult parsed = CommandLine.Create(commandLine =>
        {
            asked = commandLine;
            return Task.FromResult(0);
        }).Parse(arguments);
        Assert.That(parsed.Errors, Is.Empty);
        Assert.That(parsed.Invoke(), Is.Zero);
        return asked!;
    }
}
