using Decart.Inference.Tokenization;

namespace Decart.Inference.Chat;

/// <summary>The templates of families of models whose files may come without one, recognised by what only their vocabularies have.</summary>
/// <param name="Name">The family, for people.</param>
/// <param name="Text">The template.</param>
internal sealed record FamilyTemplate(string Name, string Text)
{
    private const string ChatMl = """
        {%- if tools %}
            {{- '<|im_start|>system\n' }}
            {%- if messages[0].role == 'system' %}
                {{- messages[0].content + '\n\n' }}
            {%- endif %}
            {{- '# Tools\n\nYou may call one or more functions. Their signatures stand within <tools></tools>:\n<tools>' }}
            {%- for tool in tools %}
                {{- '\n' + tool | tojson }}
            {%- endfor %}
            {{- '\n</tools>\n\nFor each call, return a JSON object with the function\'s name and arguments within <tool_call></tool_call>:\n' }}
            {{- '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>\n' }}
        {%- endif %}
        {%- for message in messages %}
            {%- if message.role == 'tool' %}
                {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
                    {{- '<|im_start|>user' }}
                {%- endif %}
                {{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
                {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
                    {{- '<|im_end|>\n' }}
                {%- endif %}
            {%- elif not (tools and loop.first and message.role == 'system') %}
                {{- '<|im_start|>' + message.role + '\n' + message.content }}
                {%- for call in message.tool_calls or [] %}
                    {{- '\n' if message.content or not loop.first }}
                    {{- '<tool_call>\n' + {'name': call.function.name, 'arguments': call.function.arguments} | tojson + '\n</tool_call>' }}
                {%- endfor %}
                {{- '<|im_end|>\n' }}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\n' }}
        {%- endif %}
        """;

    private const string Llama2 = """
        {%- set ns = namespace(system='') %}
        {%- for message in messages %}
            {%- if message.role == 'system' %}
                {%- set ns.system = '<<SYS>>\n' + message.content | trim + '\n<</SYS>>\n\n' %}
            {%- elif message.role == 'user' %}
                {{- bos_token + '[INST] ' + ns.system + message.content | trim + ' [/INST]' }}
                {%- set ns.system = '' %}
            {%- elif message.role == 'assistant' %}
                {{- ' ' + message.content | trim + ' ' + eos_token }}
            {%- else %}
                {{- raise_exception('Models of this family know system, user and assistant, not ' + message.role) }}
            {%- endif %}
        {%- endfor %}
        """;

    private const string Mistral = """
        {{- bos_token }}
        {%- set ns = namespace(system='') %}
        {%- for message in messages %}
            {%- if message.role == 'system' %}
                {%- set ns.system = message.content + '\n\n' %}
            {%- elif message.role == 'user' %}
                {{- '[INST] ' + ns.system + message.content + ' [/INST]' }}
                {%- set ns.system = '' %}
            {%- elif message.role == 'assistant' %}
                {{- ' ' + message.content | trim + eos_token }}
            {%- else %}
                {{- raise_exception('Models of this family know system, user and assistant, not ' + message.role) }}
            {%- endif %}
        {%- endfor %}
        """;

    private const string Llama3 = """
        {{- bos_token }}
        {%- for message in messages %}
            {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
        {%- endif %}
        """;

    private const string Gemma = """
        {{- bos_token }}
        {%- set ns = namespace(system='') %}
        {%- for message in messages %}
            {%- if message.role == 'system' %}
                {%- set ns.system = message.content | trim + '\n\n' %}
            {%- else %}
                {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' + ns.system + message.content | trim + '<end_of_turn>\n' }}
                {%- set ns.system = '' %}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<start_of_turn>model\n' }}
        {%- endif %}
        """;

    private const string Phi3 = """
        {%- for message in messages %}
            {{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|assistant|>\n' }}
        {%- endif %}
        """;

    private const string CommandR = """
        {{- bos_token }}
        {%- for message in messages %}
            {{- '<|START_OF_TURN_TOKEN|>' }}
            {{- '<|CHATBOT_TOKEN|>' if message.role == 'assistant' else '<|USER_TOKEN|>' if message.role == 'user' else '<|SYSTEM_TOKEN|>' }}
            {{- message.content | trim + '<|END_OF_TURN_TOKEN|>' }}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}
        {%- endif %}
        """;

    private const string DeepSeek = """
        {{- bos_token }}
        {%- for message in messages %}
            {%- if message.role == 'user' %}
                {{- '<｜User｜>' + message.content }}
            {%- elif message.role == 'assistant' %}
                {{- '<｜Assistant｜>' + message.content + eos_token }}
            {%- else %}
                {{- message.content }}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<｜Assistant｜>' }}
        {%- endif %}
        """;

    /// <summary>
    /// The families, and the tokens by which each is known. Llama 2 and Mistral have no token of their own for chats: their vocabularies are told apart by where they have a common word.
    /// </summary>
    private static readonly (FamilyTemplate Template, Predicate<TextTokenizer> Knows)[] Families =
    [
        (new("Llama 3", Llama3), HasAll("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
        (new("ChatML (Qwen and others)", ChatMl), HasAll("<|im_start|>", "<|im_end|>")),
        (new("Gemma", Gemma), HasAll("<start_of_turn>", "<end_of_turn>")),
        (new("Phi-3", Phi3), HasAll("<|user|>", "<|assistant|>", "<|end|>")),
        (new("Command R", CommandR), HasAll("<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>")),
        (new("DeepSeek", DeepSeek), HasAll("<｜User｜>", "<｜Assistant｜>")),
        (new("Mistral", Mistral), HasAll("[INST]", "[/INST]")),
        (new("Mistral", Mistral), tokenizer => tokenizer.IdOf("\u2581the") == 272 && tokenizer.IdOf("<s>") == 1),
        (new("Llama 2", Llama2), tokenizer => tokenizer.IdOf("\u2581the") == 278 && tokenizer.IdOf("<s>") == 1),
    ];

    /// <summary>The template of the family that a vocabulary belongs to; null if none is recognised.</summary>
    public static FamilyTemplate? Find(TextTokenizer tokenizer) => Families.FirstOrDefault(family => family.Knows(tokenizer)).Template;

    private static Predicate<TextTokenizer> HasAll(params string[] tokens) => tokenizer => Array.TrueForAll(tokens, token => tokenizer.SpecialTokens.ContainsKey(token));
}
