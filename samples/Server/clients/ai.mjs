// The npm package ai, with both providers that speak OpenAI's API.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const settings = { baseURL: `${process.env.SERVER}/v1`, apiKey: process.env.KEY };
const compatible = createOpenAICompatible({ name: "decart", supportsStructuredOutputs: true, includeUsage: true, ...settings });
const openai = createOpenAI(settings);
const models = { "chat completions": compatible("chatty"), "OpenAI's chat completions": openai.chat("chatty"), responses: openai.responses("chatty") };
const city = z.object({ city: z.enum(["Oslo", "Rome"]) });

for (const [name, model] of Object.entries(models)) {
  const common = { model, maxRetries: 0, prompt: "Tell me a story." };
  const generated = await generateText({ ...common, maxOutputTokens: 12, temperature: 0 });
  assert.equal(generated.finishReason, "length", name);
  assert.equal(generated.usage.outputTokens, 12, name);
  const stream = streamText({ ...common, maxOutputTokens: 12, temperature: 0, onError: ({ error }) => { throw error; } });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, generated.text, name);
  assert.equal((await stream.usage).outputTokens, 12, name);

  let asked = null;
  const tools = { get_weather: tool({ inputSchema: city, execute: async ({ city }) => { asked = city; return "Rain"; } }) };
  const steps = await generateText({ ...common, maxOutputTokens: 120, temperature: 0, tools, toolChoice: "required", stopWhen: stepCountIs(1) });
  assert.ok(steps.toolCalls.length > 0, name);
  assert.ok(["Oslo", "Rome"].includes(asked), name);

  const structured = await generateText({ ...common, temperature: 0, output: Output.object({ schema: city }) });
  assert.ok(["Oslo", "Rome"].includes(structured.output.city), name);
}

const { embeddings } = await embedMany({ model: compatible.textEmbeddingModel("chatty"), values: ["The sky is blue.", "Rain."], maxRetries: 0 });
assert.deepEqual(embeddings.map(embedding => embedding.length), [256, 256]);
console.log(`ai: text, streams, tools and structured output through ${Object.keys(models).join(", ")}; embeddings`);
