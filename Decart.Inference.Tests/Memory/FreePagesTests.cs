using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

internal sealed class FreePagesTests
{
    [Test]
    public void Random_use_agrees_with_a_set([Values(1, 63, 64, 65, 1000)] int pages, [Values(1, 2)] int seed)
    {
        Random random = new(seed);
        FreePages free = new(pages);
        HashSet<int> model = [.. Enumerable.Range(0, pages)];
        for (int i = 0; i < 5_000; i++)
        {
            int page = random.Next(pages);
            Assert.That(free.Contains(page), Is.EqualTo(model.Contains(page)));
            if (model.Remove(page)) free.Remove(page);
            else if (model.Add(page)) free.Add(page);
            (int first, int length) = free.FindRun();
            Assert.That((length > 0, free.Count), Is.EqualTo((model.Count > 0, model.Count)));
            Assert.That(Enumerable.Range(first, length), Is.SubsetOf(model));
        }
        Assert.That((free.Contains(-1), free.Contains(pages)), Is.EqualTo((false, false)));
    }

    [Test]
    public void Sequences_that_grow_together_get_runs()
    {
        const int Sequences = 40, PagesEach = 25;
        PagePool pool = new(2 * Sequences * PagesEach);
        int[] last = new int[Sequences];
        Array.Fill(last, -1);
        int runs = 0;
        for (int i = 0; i < Sequences * PagesEach; i++)
        {
            ref int before = ref last[i % Sequences];
            Assert.That(pool.TryTake(before, out int page));
            runs += AddressRanges.Seam(before, page);
            before = page;
        }
        Assert.That(runs, Is.LessThan(4 * Sequences), "25 pages in four runs at most");
    }

    [Test]
    public void A_prompt_gets_one_run_after_another_whatever_came_before()
    {
        PagePool pool = new(1_000);
        for (int i = 0; i < 10; i++) pool.TryTake(-1, out _); // ten that hold a page each
        int before = -1, runs = 0;
        for (int i = 0; i < 250; i++)
        {
            pool.TryTake(before, out int page);
            runs += AddressRanges.Seam(before, page);
            before = page;
        }
        Assert.That(runs, Is.LessThan(8));
    }
}
