/** `POST /chat/completions`: OpenAI's chat, as the contract profile has it. */
import type { ChatRequest, GenerationRequest } from '../contract/request.ts';
import { GroundedReader, groundedPlain } from '../grounding/grounded-answer.ts';
import { readPlainAnswer } from '../relay/plain-answer.ts';
import { StreamReader, type StreamReaderOptions } from '../relay/stream-reader.ts';
import { chatBody, requestText, tokenizeBody } from '../upstream/body.ts';
import { type AnswerOptions, type Endpoint, textBytes } from './endpoint.ts';

/** How chunks with choices are read: chat's, and those of text completions. */
export function chatReaderOptions(request: GenerationRequest, options: AnswerOptions): StreamReaderOptions {
  const { usageInStream: usage, choices, tools } = request;
  return { ...options, usage, choices, hasTools: tools !== null };
}

export const CHAT: Endpoint<ChatRequest> = {
  name: '/chat/completions',
  scope: 'chat',
  workerPath: '/v1/chat/completions',
  engines: ['vllm', 'sglang'],
  errors: 'contract',
  parse: (body, profile) => profile.parseChat(body),
  text: requestText,
  size(request, text) {
    const bytes = textBytes(text);
    const promptBytes = bytes.messageBytes + bytes.toolBytes;
    return { ...bytes, promptBytes, messages: request.messages.length, choices: request.choices };
  },
  body: (request, { text, maxTokens, constraint, fields, dialect }) =>
    chatBody(request, text, maxTokens, constraint, fields, dialect),
  tokenizeBody,
  streamReader: (request, options) => {
    const reader = new StreamReader(chatReaderOptions(request, options));
    return request.grounding ? new GroundedReader(reader, request.grounding) : reader;
  },
  plainReader: (request, { checks, shape }) => {
    const options = { checks, shape, hasTools: request.tools !== null };
    const read = (body: Buffer) => readPlainAnswer(body, options);
    return request.grounding ? groundedPlain(read, request.grounding) : read;
  },
};
