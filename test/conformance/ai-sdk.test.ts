/** The Vercel AI SDK in front of a router: text, streams, objects under a schema, tools in a loop, errors. Both dialects. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { APICallError, generateText, isStepCount, jsonSchema, Output, streamText, tool } from 'ai';
import { MODEL } from '../e2e/router-kit.ts';
import { ENGINES, lastOf, startWorld, type World } from './contracts/kit.ts';

interface City {
  name: string;
  large: boolean;
}
const CITY = jsonSchema<City>({
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, large: { type: 'boolean' } },
  required: ['name', 'large'],
  additionalProperties: false,
});
const prompt = 'hi there friend';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const modelOf = (apiKey = world.key.text, id = MODEL) =>
    createOpenAICompatible({
      name: 'tollgate',
      baseURL: `${world.router.url}/v1`,
      apiKey,
      supportsStructuredOutputs: true,
      includeUsage: true,
    })(id);

  test('generateText: text, usage, the reason of the end', async () => {
    const { text, usage, finishReason } = await generateText({ model: modelOf(), prompt, maxOutputTokens: 12 });
    expect(text.length).toBeGreaterThan(0);
    expect(usage).toMatchObject({ inputTokens: expect.any(Number), outputTokens: expect.any(Number) });
    expect(['stop', 'length']).toContain(finishReason);
  });

  test('streamText: pieces that make the text, and the usage at the end', async () => {
    const stream = streamText({ model: modelOf(), prompt, maxOutputTokens: 12 });
    let text = '';
    let pieces = 0;
    for await (const piece of stream.textStream) {
      text += piece;
      pieces++;
    }
    expect(pieces).toBeGreaterThan(1);
    expect(await stream.text).toBe(text);
    expect((await stream.usage).outputTokens).toBeGreaterThan(0);
  });

  test('an object under a schema, whole and streamed', async () => {
    const output = Output.object({ schema: CITY, name: 'city' });
    const made = await generateText({ model: modelOf(), prompt, output, maxOutputTokens: 400 });
    expect(Object.keys(made.output)).toEqual(['name', 'large']);
    const stream = streamText({ model: modelOf(), prompt, output, maxOutputTokens: 400 });
    let parts = 0;
    for await (const _ of stream.partialOutputStream) parts++;
    expect(parts).toBeGreaterThan(0);
    expect(Object.keys(await stream.output)).toEqual(['name', 'large']);
  });

  test('a tool: called with arguments of its schema, its result goes back in the next step', async () => {
    const asked: City[] = [];
    const look = tool({
      description: 'Looks a city up',
      inputSchema: CITY,
      execute: async (city: City) => {
        asked.push(city);
        return { found: true };
      },
    });
    const { steps } = await generateText({
      model: modelOf(),
      prompt,
      tools: { look },
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
      stopWhen: isStepCount(2),
      maxOutputTokens: 400,
    });
    expect(steps.length).toBe(2);
    expect(Object.keys(asked[0]!)).toEqual(['name', 'large']);
    expect(lastOf(world.sent).messages.at(-1)).toMatchObject({ role: 'tool', content: '{"found":true}' });
  });

  test('errors carry their status and words', async () => {
    const fails = async (model: ReturnType<typeof modelOf>) => {
      const error = await generateText({ model, prompt, maxRetries: 0 }).catch((thrown: unknown) => thrown);
      expect(APICallError.isInstance(error)).toBe(true);
      return error as APICallError;
    };
    expect((await fails(modelOf('junk'))).statusCode).toBe(401);
    const unknown = await fails(modelOf(world.key.text, 'no/such'));
    expect([unknown.statusCode, unknown.isRetryable]).toEqual([404, false]);
    expect(unknown.message.length).toBeGreaterThan(0);
    const empty = await world.paidKey({ capDayNusd: '1' });
    expect((await fails(modelOf(empty.text))).statusCode).toBe(402);
  });
});
