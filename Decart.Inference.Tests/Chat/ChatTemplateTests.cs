using System.Text.Json;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Tokenization;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Tokenization.GgufTokenizerTests;

namespace Decart.Inference.Tests.Chat;

/// <summary>Where templates come from, which one is rendered, and that real models' conversations come out as transformers writes them.</summary>
public class ChatTemplateTests
{
    private const int Normal = 1, Control = 3;

    private const string Simple = "{% for message in messages %}{{ '<' + message.role + '>' + message.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

    private static readonly ChatMessage[] Hello = [new(ChatRole.System, "S"), new(ChatRole.User, "U")];

    [TestCase("llama3_1")]
    [TestCase("qwen3")]
    [NeedsFixtures]
    public void Conversations_are_written_byte_for_byte_as_transformers_writes_them(string name)
    {
        ChatTemplate template = ChatTemplate.Load(Fixtures.Path("tokenizers", name));
        ITokenizer tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", name));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("tokenizers", "tokens.json")));
        JsonElement[] cases = [.. document.RootElement.GetProperty(name).GetProperty("chat").EnumerateArray()];
        Assert.That(cases, Has.Length.EqualTo(12));
        Assert.Multiple(() =>
        {
            foreach (JsonElement @case in cases)
            {
                ChatTemplateOptions options = new() { AddGenerationPrompt = @case.GetProperty("add_generation_prompt").GetBoolean(), Tools = Tools(@case.GetProperty("tools")) };
                ChatMessage[] messages = [.. @case.GetProperty("messages").EnumerateArray().Select(Message)];
                string expected = @case.GetProperty("rendered").GetString()!;
                Assert.That(template.Render(messages, options), Is.EqualTo(expected));
                Assert.That(template.Encode(messages, options).TokenIds.ToArray(), Is.EqualTo(tokenizer.Encode(expected, addSpecialTokens: false)));
            }
        });
    }

    [Test]
    [NeedsFixtures]
    public void A_chat_model_in_a_GGUF_file_gets_the_prompt_of_its_reference()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.json")));
        ChatTemplate template = ChatTemplate.Load(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"));
        JsonElement reference = document.RootElement.GetProperty("cases").EnumerateArray().Single(@case => @case.GetProperty("prompt").GetString()!.Contains("haiku", StringComparison.Ordinal));
        ChatMessage[] messages = [new(ChatRole.User, "Hi!"), new(ChatRole.Assistant, "Hello! How can I help you today?"), new(ChatRole.User, "Write a haiku about the sea. 海 🌊")];
        Assert.That(template.Source, Is.EqualTo(ChatTemplateSource.Checkpoint));
        Assert.That(template.Render(messages), Is.EqualTo(reference.GetProperty("prompt").GetString()));
        Assert.That(template.Encode(messages).TokenIds.ToArray(), Is.EqualTo(reference.GetProperty("prompt_ids").EnumerateArray().Select(id => id.GetInt32())));
    }

    [Test]
    public void A_file_of_its_own_goes_before_the_settings_and_further_files_have_names()
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer_config.json", """{"chat_template": "old", "bos_token": "<s>", "eos_token": {"content": "</s>"}}""");
        Assert.That(ChatTemplate.Load(folder.Path).Render([]), Is.EqualTo("old"));
        folder.Write("chat_template.json", """{"chat_template": "processor's {{ bos_token }}"}""");
        Assert.That(ChatTemplate.Load(folder.Path).Render([]), Is.EqualTo("processor's <s>"));
        folder.Write("chat_template.jinja", "new {{ eos_token }}\n");
        ChatTemplate template = ChatTemplate.Load(folder.Path);
        Assert.That(template.Render([]), Is.EqualTo("new </s>"));
        Assert.That((template.Source, template.Origin), Is.EqualTo((ChatTemplateSource.Checkpoint, folder.Path)));
        Directory.CreateDirectory(Path.Combine(folder.Path, "additional_chat_templates"));
        folder.Write(Path.Combine("additional_chat_templates", "tool_use.jinja"), "tools {{ tools|length }}");
        folder.Write(Path.Combine("additional_chat_templates", "rag.jinja"), "rag");
        template = ChatTemplate.Load(folder.Path);
        Assert.That(template.Names, Is.EquivalentTo(new[] { "default", "tool_use", "rag" }));
        Assert.That(template.Render([]), Is.EqualTo("new </s>"));
        Assert.That(template.Render([], tools: [Function("f")]), Is.EqualTo("tools 1"));
        Assert.That(template.Render([], new ChatTemplateOptions { TemplateName = "rag" }), Is.EqualTo("rag"));
    }

    [Test]
    public void A_list_of_templates_has_names()
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer_config.json", """{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}""");
        ChatTemplate template = ChatTemplate.Load(folder.Path);
        Assert.That((template.Render([]), template.Render([], tools: [Function("f")])), Is.EqualTo(("d", "t")));
        Assert.That(
            () => template.Render([], new ChatTemplateOptions { TemplateName = "rag" }), Throws.ArgumentException.With.Message.Contains("\"rag\"").And.Message.Contains("default, tool_use"));
        folder.Write("tokenizer_config.json", """{"chat_template": [{"name": "rag", "template": "r"}]}""");
        Assert.That(() => ChatTemplate.Load(folder.Path).Render([]), Throws.ArgumentException.With.Message.Contains("no chat template named \"default\""));
    }

    [TestCase("{}")]
    [TestCase("""{"chat_template": null}""")]
    public void A_folder_without_a_template_is_refused(string settings)
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer_config.json", settings);
        Assert.That(() => ChatTemplate.Load(folder.Path), Throws.TypeOf<ModelLoadException>().With.Message.Contains("expected a chat template, found none"));
        folder.Write("tokenizer_config.json", """{"chat_template": 5}""");
        Assert.That(() => ChatTemplate.Load(folder.Path), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("chat_template"));
        folder.Write("tokenizer_config.json", """{"chat_template": "{% if %}"}""");
        Assert.That(() => ChatTemplate.Load(folder.Path), Throws.TypeOf<ChatTemplateException>().With.Property("Line").EqualTo(1));
    }

    [Test]
    public void Metadata_hold_templates_and_the_texts_of_special_tokens()
    {
        using TemporaryFolder folder = new();
        GgufBytes file = Strings(Strings(Scored(), "tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"), "tokenizer.chat_template.tool_use", "t{{ tools|length }}");
        string path = folder.Write("model.gguf", file.Compose(0));
        ChatTemplate template = ChatTemplate.Load(path);
        Assert.That((template.Source, template.Origin), Is.EqualTo((ChatTemplateSource.Checkpoint, $"{path}: tokenizer.chat_template")));
        Assert.That(template.Render(Hello), Is.EqualTo("<s>S</s>"));
        Assert.That(template.Render(Hello, tools: [Function("f")]), Is.EqualTo("t1"));
        Assert.That(template.Encode([new(ChatRole.User, "ab</s>")]).TokenIds.ToArray(), Has.One.EqualTo(1).And.One.EqualTo(2), "one BOS, and the user ends nothing");
    }

    [TestCase(new[] { "<|im_start|>", "<|im_end|>" }, "ChatML (Qwen and others)", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n")]
    [TestCase(
        new[] { "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>" },
        "Llama 3",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")]
    [TestCase(new[] { "<bos>", "<start_of_turn>", "<end_of_turn>" }, "Gemma", "<bos><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n")]
    [TestCase(new[] { "<|user|>", "<|assistant|>", "<|end|>", "<|system|>" }, "Phi-3", "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\n")]
    [TestCase(new[] { "<s>", "[INST]", "[/INST]" }, "Mistral", "<s>[INST] S\n\nU [/INST]")]
    [TestCase(
        new[] { "<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>" },
        "Command R",
        "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>U<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>")]
    [TestCase(new[] { "<bos>", "<\uFF5CUser\uFF5C>", "<\uFF5CAssistant\uFF5C>" }, "DeepSeek", "<bos>S<\uFF5CUser\uFF5C>U<\uFF5CAssistant\uFF5C>")]
    public void Families_are_known_by_their_tokens_where_a_file_has_no_template(string[] tokens, string family, string expected)
    {
        string[] bytes = [.. TinyTokenizer.ByteLevel()["model"]!["vocab"]!.AsObject().Select(member => member.Key)];
        GgufBytes file = Merges(Strings(Model("gpt2", [.. tokens, .. bytes], [.. tokens.Select(_ => Control), .. bytes.Select(_ => Normal)]), "tokenizer.ggml.pre", "gpt-2"))
            .Add("tokenizer.ggml.bos_token_id", Decart.Inference.Checkpoints.GgufValueKind.UInt32, writer => writer.Write(0));
        using TemporaryFolder folder = new();
        ChatTemplate template = ChatTemplate.Load(folder.Write("model.gguf", file.Compose(0)));
        Assert.That((template.Source, template.Origin), Is.EqualTo((ChatTemplateSource.Family, family)));
        Assert.That(template.Render(Hello), Is.EqualTo(expected));
    }

    [Test]
    [NeedsFixtures]
    public void The_vocabulary_of_Llama_2_is_known_by_its_words()
    {
        ChatTemplate template = ChatTemplate.Load(Fixtures.Path("gguf", "llama-2-tiny-random.gguf"));
        Assert.That((template.Source, template.Origin), Is.EqualTo((ChatTemplateSource.Family, "Llama 2")));
        ChatMessage[] messages = [.. Hello, new(ChatRole.Assistant, "A"), new(ChatRole.User, "V")];
        Assert.That(template.Render(messages), Is.EqualTo("<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]"));
        Assert.That(() => ChatTemplate.Load(Fixtures.Path("gguf", "TinyStories-656K-f16.gguf")), Throws.TypeOf<ModelLoadException>(), "the vocabulary of no family");
    }

    [Test]
    public async Task A_session_has_the_template_of_its_model()
    {
        using TemporaryFolder folder = new();
        string storyteller = Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");
        foreach (string file in Directory.GetFiles(storyteller)) File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        await using (LlmSession session = await LlmSession.LoadAsync(folder.Path, new() { Device = Device.Cpu })) Assert.That(session.ChatTemplate, Is.Null);
        folder.Write("chat_template.jinja", Simple);
        await using (LlmSession session = await LlmSession.LoadAsync(folder.Path, new() { Device = Device.Cpu }))
        {
            Prompt prompt = session.ChatTemplate!.Encode([new(ChatRole.User, "Once upon a time")]);
            Assert.That((await session.GenerateAsync(prompt, new() { MaxTokens = 2 })).TokenIds, Is.Not.Empty);
        }
        folder.Write("chat_template.jinja", "{% if %}");
        await using (LlmSession session = await LlmSession.LoadAsync(folder.Path, new() { Device = Device.Cpu }))
        {
            Assert.That(() => session.ChatTemplate, Throws.TypeOf<ChatTemplateException>(), "the model still completes texts");
            Assert.That((await session.GenerateAsync("Once", new() { MaxTokens = 2 })).TokenIds, Is.Not.Empty);
        }
    }

    [Test]
    public void The_date_is_the_clocks_and_variables_are_the_callers()
    {
        ChatTemplate template = ChatTemplate.Parse("{{ strftime_now('%d %b %Y') }} {{ enable_thinking }} {{ list[0].a }} {{ documents }} {{ tools }}");
        Dictionary<string, object?> variables = new() { ["enable_thinking"] = false, ["list"] = new[] { new Dictionary<string, object?> { ["a"] = 1.5 } } };
        Assert.That(template.Render([], new ChatTemplateOptions { Clock = Jinja.Clock, Variables = variables }), Is.EqualTo("26 Jul 2024 False 1.5 None None"));
        Assert.That(() => template.Render([], new ChatTemplateOptions { Variables = new Dictionary<string, object?> { ["x"] = new Thread(() => { }) } }), Throws.ArgumentException);
    }

    [Test]
    public void A_template_without_a_tokenizer_renders_and_does_not_encode()
    {
        ChatTemplate template = ChatTemplate.Parse(Simple);
        Assert.That(template.Render(Hello), Is.EqualTo("<system>S<user>U<assistant>"));
        Assert.That(template.Render(Hello, addGenerationPrompt: false), Is.EqualTo("<system>S<user>U"));
        Assert.That(template.Source, Is.EqualTo(ChatTemplateSource.Application));
        Assert.That(() => template.Encode(Hello), Throws.InvalidOperationException);
    }

    private static ChatMessage Message(JsonElement message) => new(new ChatRole(message.GetProperty("role").GetString()!), message.GetProperty("content").GetString());

    private static AITool[]? Tools(JsonElement tools) => tools.ValueKind == JsonValueKind.Null
        ? null
        : [.. tools.EnumerateArray().Select(tool => tool.GetProperty("function")).Select(function =>
            AIFunctionFactory.CreateDeclaration(function.GetProperty("name").GetString()!, function.GetProperty("description").GetString(), function.GetProperty("parameters").Clone()))];

    private static AIFunctionDeclaration Function(string name) => AIFunctionFactory.CreateDeclaration(name, "d", JsonElement.Parse("{}"));
}
