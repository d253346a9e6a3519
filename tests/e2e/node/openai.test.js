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

test("responses are plain and streamed, with all their events", async () => {
  const request = { model: "smollm2", input: "Say hello.", instructions: "Be brief.", temperature: 0, max_output_tokens: 16 };
  const answer = await client.responses.create(request);
  assert.ok(answer.output_text.length > 0);
  const types = [];
  let text = "";
  for await (const event of await client.responses.create({ ...request, stream: true })) {
    assert.equal(event.sequence_number, types.length);
    types.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, answer.output_text);
  assert.equal(types[0], "response.created");
  assert.match(types.at(-1), /^response\.(completed|incomplete)$/);
  const final = await client.responses.stream(request).finalResponse();
  assert.equal(final.output_text, answer.output_text);
});

test("several choices and log probabilities", async () => {
  const answer = await client.chat.completions.create({ ...question, n: 2, temperature: 1, seed: 4, max_tokens: 3, logprobs: true, top_logprobs: 2 });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1]);
  assert.equal(answer.choices[0].logprobs.content[0].top_logprobs.length, 2);
  const scored = await client.completions.create({ model: "smollm2", prompt: ["Once", "The sky"], max_tokens: 2, n: 2, best_of: 3, logprobs: 1, echo: true });
  assert.equal(scored.choices.length, 4);
  assert.ok(scored.choices[2].text.startsWith("The sky"));
});

test("embeddings are decoded from base64, which the client asks for by itself", async () => {
  const vectors = new OpenAI({ baseURL: `${process.env.QUERN_EMBEDDING_URL}/v1`, apiKey: "none", maxRetries: 0 });
  const coded = await vectors.embeddings.create({ model: "bert", input: ["hello", "world"] });
  const plain = await vectors.embeddings.create({ model: "bert", input: ["hello", "world"], encoding_format: "float" });
  assert.equal(coded.data.length, 2);
  coded.data.forEach((each, i) => each.embedding.forEach((value, j) => assert.ok(Math.abs(value - plain.data[i].embedding[j]) < 1e-6)));
  const short = await vectors.embeddings.create({ model: "bert", input: "hello", dimensions: 8 });
  assert.equal(short.data[0].embedding.length, 8);
});

test("raw responses show the request's id", async () => {
  const { data, response } = await client.models.list().withResponse();
  assert.equal(data.data[0].id, "smollm2");
  assert.ok(response.headers.get("x-request-id"));
});

test("a request can be aborted before it is answered", async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 100);
  const slow = client.chat.completions.create({ ...question, max_tokens: 1500, ignore_eos: true }, { signal: controller.signal });
  await assert.rejects(slow, OpenAI.APIUserAbortError);
});
