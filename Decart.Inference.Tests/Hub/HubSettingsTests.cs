using Decart.Inference.Hub;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Hub;

/// <summary>What the environment says about the Hub, read as Python's libraries read it.</summary>
internal sealed class HubSettingsTests
{
    private static string Home => Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static readonly ModelHubOptions NoToken = new() { Token = "" };

    [TestCase("", "~/.cache/huggingface/hub")]
    [TestCase("XDG_CACHE_HOME=/x", "/x/huggingface/hub")]
    [TestCase("XDG_CACHE_HOME=/x HF_HOME=/h", "/h/hub")]
    [TestCase("HF_HOME=~/h", "~/h/hub")]
    [TestCase("HF_HOME=$BASE/h BASE=/b", "/b/h/hub")]
    [TestCase("HF_HOME=${BASE}h BASE=/b", "/bh/hub")]
    [TestCase("HF_HOME=/h HUGGINGFACE_HUB_CACHE=/old", "/old")]
    [TestCase("HF_HOME=/h HUGGINGFACE_HUB_CACHE=/old HF_HUB_CACHE=/c", "/c")]
    public void The_cache_s_folder(string variables, string expected) =>
        Assert.That(Read(NoToken, variables).CacheFolder, Is.EqualTo(Path.GetFullPath(expected.Replace("~", Home, StringComparison.Ordinal))));

    [Test]
    public void Options_come_before_the_environment()
    {
        HubSettings settings = Read(
            new ModelHubOptions { CacheFolder = "/mine", Token = "mine", Endpoint = new Uri("http://mirror:8080/hub/"), Offline = false },
            "HF_HUB_CACHE=/c HF_TOKEN=other HF_ENDPOINT=https://other HF_HUB_OFFLINE=1");
        Assert.That((settings.CacheFolder, settings.Token, settings.Endpoint, settings.Offline), Is.EqualTo((Path.GetFullPath("/mine"), "mine", "http://mirror:8080/hub", false)));
    }

    [TestCase("", "https://huggingface.co")]
    [TestCase("HF_ENDPOINT=https://mirror/", "https://mirror")]
    public void The_Hub_s_address(string variables, string expected) => Assert.That(Read(NoToken, variables).Endpoint, Is.EqualTo(expected));

    [TestCase("mirror")]
    [TestCase("ftp://mirror")]
    public void An_address_that_is_none_is_refused(string address) => Assert.That(() => Read(NoToken, $"HF_ENDPOINT={address}"), Throws.ArgumentException.With.Message.Contains(address));

    [TestCase("", false)]
    [TestCase("HF_HUB_OFFLINE=0", false)]
    [TestCase("HF_HUB_OFFLINE=1", true)]
    [TestCase("HF_HUB_OFFLINE=true", true)]
    [TestCase("TRANSFORMERS_OFFLINE=ON", true)]
    public void Offline(string variables, bool expected) => Assert.That(Read(NoToken, variables).Offline, Is.EqualTo(expected));

    [Test]
    public void The_token_comes_from_variables_or_the_file()
    {
        using TemporaryFolder folder = new();
        folder.Write("token", " from_file\n");
        string path = folder.Write("elsewhere", "from_path");
        ModelHubOptions options = new();
        Assert.Multiple(() =>
        {
            Assert.That(Read(options, $"HF_HOME={folder.Path}").Token, Is.EqualTo("from_file"));
            Assert.That(Read(options, $"HF_HOME={folder.Path} HF_TOKEN_PATH={path}").Token, Is.EqualTo("from_path"));
            Assert.That(Read(options, $"HF_HOME={folder.Path} HUGGING_FACE_HUB_TOKEN=old").Token, Is.EqualTo("old"));
            Assert.That(Read(options, $"HF_HOME={folder.Path} HUGGING_FACE_HUB_TOKEN=old HF_TOKEN=new").Token, Is.EqualTo("new"));
            Assert.That(Read(options, $"HF_HOME={folder.Path} HF_HUB_DISABLE_IMPLICIT_TOKEN=1").Token, Is.Null);
            Assert.That(Read(options, $"HF_HOME={folder.Path}/absent").Token, Is.Null);
            Assert.That(Read(NoToken, "HF_TOKEN=new").Token, Is.Null, "none is asked for");
        });
    }

    private static HubSettings Read(ModelHubOptions options, string variables)
    {
        Dictionary<string, string> set = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(one => one.Split('=', 2)).ToDictionary(one => one[0], one => one[1]);
        return HubSettings.From(options, name => set.GetValueOrDefault(name));
    }
}
