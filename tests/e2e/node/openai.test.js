// The official JavaScript client against `quern serve`. QUERN_URL is the server's address; test_openai_node.py sets it.
import assert from "node:assert/strict";
import test from "node:test";

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.QUERN_URL}/v1`, apiKey: "none", maxRetries: 0 });
const question = {
  model: "smollm2",
  messages: [{ role: "user", content: "What is the capital of France? Answer in one word." }],
  temperature: 0,
  max_tokens: 24,
};

test("models are listed and retrieved", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["smollm2"]);
  assert.equal((await client.models.retrieve("smollm2")).object, "model");
  await assert.rejects(client.models.retrieve("org/other:1"), OpenAI.NotFoundError);
});

test("a chat answer is complete", async () => {
  const answer = await client.chat.completions.create(question);
  assert.match(answer.choices[0].message.content, /Paris/);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a stream says the same as a plain answer", async () => {
  const plain = await client.chat.completions.create(question);
  let text = "";
  let usage = null;
  for await (const chunk of await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, plain.choices[0].message.content);
  assert.deepEqual(usage, plain.usage);
});

test("the client's stream helper ends with the whole answer", async () => {
  const stream = client.chat.completions.stream(question);
  const final = await stream.finalChatCompletion();
  assert.match(final.choices[0].message.content, /Paris/);
});

test("a stream can be aborted", async () => {
  const stream = await client.chat.completions.create({ ...question, max_tokens: 1000, stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    stream.controller.abort();
  }
  assert.ok((await client.chat.completions.create({ ...question, max_tokens: 1 })).id);
});

test("completions are plain and streamed", async () => {
  const request = { model: "smollm2", prompt: "The capital of France is", temperature: 0, max_tokens: 4 };
  const answer = await client.completions.create(request);
  assert.match(answer.choices[0].text, /Paris/);
  let text = "";
  for await (const chunk of await client.completions.create({ ...request, stream: true })) text += chunk.choices[0].text;
  assert.equal(text, answer.choices[0].text);
});

test("errors become the right classes", async () => {
  await assert.rejects(client.chat.completions.create({ ...question, temperature: 3 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(client.chat.completions.create({ ...question, model: "gpt-4" }), OpenAI.NotFoundError);
});
