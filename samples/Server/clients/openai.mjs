// The npm package openai.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.SERVER}/v1`, apiKey: process.env.KEY, maxRetries: 0 });
const model = "chatty";
const messages = [{ role: "user", content: "Tell me a story." }];
const schema = { type: "object", properties: { city: { enum: ["Oslo", "Rome"] } }, required: ["city"], additionalProperties: false };
const cities = ["Oslo", "Rome"];

assert.deepEqual((await client.models.list()).data.map(({ id }) => id), [model]);

const completion = await client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0, logprobs: true, top_logprobs: 2 });
assert.equal(completion.choices[0].finish_reason, "length");
assert.equal(completion.choices[0].logprobs.content.length, 12);
let text = "", usage = null;
for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, completion.choices[0].message.content);
assert.deepEqual(usage.completion_tokens, completion.usage.completion_tokens);

const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
const asked = (await client.chat.completions.create({ model, messages, tools, tool_choice: "required", parallel_tool_calls: false })).choices[0];
assert.equal(asked.finish_reason, "tool_calls");
assert.ok(cities.includes(JSON.parse(asked.message.tool_calls[0].function.arguments).city));
const told = await client.chat.completions.create({
  model, max_tokens: 4, tools, tool_choice: "none", messages: [...messages, asked.message, { role: "tool", tool_call_id: asked.message.tool_calls[0].id, content: "Rain" }],
});
assert.ok(told.choices[0].message.content);

const runner = client.chat.completions.stream({ model, messages, tools, tool_choice: "required", parallel_tool_calls: false });
assert.ok(cities.includes(JSON.parse((await runner.finalMessage()).tool_calls[0].function.arguments).city));

const parsed = await client.chat.completions.parse({ model, messages, response_format: { type: "json_schema", json_schema: { name: "city", strict: true, schema } } });
assert.ok(cities.includes(parsed.choices[0].message.parsed.city));

const response = await client.responses.create({ model, input: "Hello", max_output_tokens: 8, temperature: 0 });
assert.equal(response.status, "incomplete");
assert.ok(response.output_text);
const streamed = await client.responses.stream({ model, input: "Hello", max_output_tokens: 8, temperature: 0 }).finalResponse();
assert.equal(streamed.output[0].content[0].text, response.output_text);
const call = (await client.responses.create({ model, input: "Weather?", tools: [{ type: "function", name: "get_weather", parameters: schema, strict: true }], tool_choice: "required", parallel_tool_calls: false })).output[0];
assert.ok(cities.includes(JSON.parse(call.arguments).city));

const embeddings = await client.embeddings.create({ model, input: ["The sky is blue.", "Rain."] });
assert.equal(embeddings.data.length, 2);
assert.equal(embeddings.data[0].embedding.length, 256);
assert.ok(Math.abs(Math.hypot(...embeddings.data[0].embedding) - 1) < 1e-3);

const completed = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 8, temperature: 0, echo: true, logprobs: 1 });
assert.ok(completed.choices[0].text.startsWith("Once upon a time"));

await assert.rejects(client.chat.completions.create({ model: "other", messages }), error => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
await assert.rejects(client.chat.completions.create({ model, messages, temperature: -1 }), error => error instanceof OpenAI.BadRequestError && error.param === "temperature");
await assert.rejects(new OpenAI({ baseURL: client.baseURL, apiKey: "wrong", maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);

const leaving = await client.chat.completions.create({ model, messages, stream: true });
for await (const _ of leaving) break;
console.log("openai: chats, streams, tools, structured output, responses, embeddings, completions and errors");
