namespace Decart.Inference.Memory;

/// <summary>
/// Where kernels find the keys and values of one sequence. With hardware paging: token t lies at
/// <c>Address + t * TokenBytes</c>, a plain strided array. With a page table: at
/// <c>PageTable[t / TokensPerPage] + t % TokensPerPage * TokenBytes</c>.
/// </summary>
/// <param name="Address">Address of token 0; 0 with a page table.</param>
/// <param name="TokenBytes">Bytes from one token to the next, as <see cref="KvLayout.TokenBytes"/>.</param>
/// <param name="PageTable">Address of the array of the pages' addresses (<c>nint</c>) in the device's memory; 0 with hardware paging.</param>
/// <param name="TokensPerPage">Tokens of a page, a power of two; 0 with hardware paging.</param>
/// <param name="RotaryLength">
/// The length of sequence that all its keys are rotated for, where that matters (longrope, dynamic NTK): a fixed part of what the keys are, not how far they reach.
/// 0 where each token's own position decides.
/// </param>
internal readonly record struct KvView(nint Address, long TokenBytes, nint PageTable = 0, int TokensPerPage = 0, int RotaryLength = 0);
