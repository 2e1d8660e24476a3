using Decart.Inference.Hub;

namespace Decart.Inference.Tests.Hub;

/// <summary>Which files of a repository a model is loaded from.</summary>
internal sealed class ModelFilesTests
{
    [TestCase("config.json model.safetensors model.safetensors.index.json", "", "model.safetensors")]
    [TestCase("config.json model.safetensors.index.json model-00001-of-00001.safetensors consolidated.safetensors", "", "")]
    [TestCase("config.json other.safetensors", "", "other.safetensors")]
    [TestCase("config.json model.safetensors a-Q4_0.gguf", "", "model.safetensors")]
    [TestCase("config.json model.safetensors a-Q4_0.gguf", "Q4_0", "a-Q4_0.gguf")]
    [TestCase("README.md a.Q4_0.gguf imatrix.gguf mmproj-a-F16.gguf", "", "a.Q4_0.gguf")]
    [TestCase("a-Q4_K_M.gguf a-Q4_K_S.gguf", "q4_k_m", "a-Q4_K_M.gguf")]
    [TestCase("a-UD-Q4_K_XL.gguf a-Q4_K_M.gguf", "UD-Q4_K_XL", "a-UD-Q4_K_XL.gguf")]
    [TestCase("BF16/a-BF16-00001-of-00002.gguf BF16/a-BF16-00002-of-00002.gguf a-Q8_0.gguf", "BF16", "BF16/a-BF16-00001-of-00002.gguf BF16/a-BF16-00002-of-00002.gguf")]
    [TestCase("a-00001-of-00002.gguf a-00002-of-00002.gguf", "", "a-00001-of-00002.gguf a-00002-of-00002.gguf")]
    [TestCase("a-00001-of-00002.gguf a-00002-of-00002.gguf", "a-00002-of-00002.gguf", "a-00001-of-00002.gguf a-00002-of-00002.gguf")]
    public void Weights(string files, string file, string expected)
    {
        ModelFiles chosen = Choose(files, file);
        Assert.That(string.Join(' ', chosen.Weights), Is.EqualTo(expected));
        Assert.That(chosen.Index, Is.EqualTo(expected.Length == 0 ? "model.safetensors.index.json" : null));
    }

    [TestCase("a-Q4_0.gguf a-Q8_0.gguf", "", "one of its GGUF models", "acme/tiny:Q4_0")]
    [TestCase("a-Q4_0.gguf b-Q4_0.gguf", "Q4_0", "found several", "b-Q4_0.gguf")]
    [TestCase("a-Q4_0.gguf", "Q8_0", "one of its GGUF models", "a-Q4_0.gguf")]
    [TestCase("a-XQ4_0.gguf", "Q4_0", "one of its GGUF models", "a-XQ4_0.gguf")]
    [TestCase("a-00001-of-00002.gguf", "", "all 00002 parts", "a-00002-of-00002.gguf")]
    [TestCase("config.json model.safetensors", "Q4_0", "found none", "acme/tiny:Q4_0")]
    [TestCase("config.json pytorch_model.bin", "", "not read", "pytorch_model.bin")]
    [TestCase("config.json", "", "found no weights", "safetensors")]
    [TestCase("adapter_config.json adapter_model.safetensors", "", "an adapter", "safetensors")]
    [TestCase("README.md", "", "no config.json", "safetensors")]
    public void Refusals_say_what_there_is(string files, string file, params string[] words)
    {
        ModelHubException error = Assert.Throws<ModelHubException>(() => Choose(files, file))!;
        Assert.That(error.Error, Is.EqualTo(ModelHubError.NoSuitableFile));
        foreach (string word in words) Assert.That(error.Message, Does.Contain(word));
    }

    [Test]
    public void Beside_the_weights_only_what_is_read_is_needed()
    {
        ModelFiles chosen = Choose(
            "README.md LICENSE config.json generation_config.json model.safetensors tokenizer.json tokenizer.model tokenizer_config.json special_tokens_map.json vocab.json "
            + "merges.txt chat_template.jinja onnx/model.onnx onnx/config.json chat_templates/a.jinja training_args.bin modules.json 1_Pooling/config.json 2_Dense/config.json",
            "");
        Assert.That(chosen.Settings, Is.EquivalentTo(
            "config.json generation_config.json tokenizer.json tokenizer_config.json special_tokens_map.json chat_template.jinja chat_templates/a.jinja modules.json 1_Pooling/config.json".Split(' ')));
    }

    private static ModelFiles Choose(string files, string file) => ModelFiles.Choose(new HubName("acme/tiny", file.Length == 0 ? null : file), files.Split(' '));
}
