/** The dialects that a worker can speak. */
import type { Dialect } from './dialect.ts';
import * as sglangAnswer from './sglang/chat-answer.ts';
import { prepareChat as prepareSglang } from './sglang/chat-request.ts';
import * as sglangCompletions from './sglang/completions.ts';
import * as sglangErrors from './sglang/errors.ts';
import { chatBody } from './vllm/chat-plain.ts';
import { prepareChat } from './vllm/chat-request.ts';
import { createChatStream } from './vllm/chat-stream.ts';
import * as vllmCompletions from './vllm/completions.ts';
import { errorBody, errorEvent } from './vllm/errors.ts';

const vllm: Dialect = {
  name: 'vllm',
  prepareChat,
  createChatStream,
  chatBody,
  errorBody,
  errorEvent,
  prepareCompletion: vllmCompletions.prepareCompletion,
  createCompletionStream: vllmCompletions.createCompletionStream,
  completionBody: vllmCompletions.completionBody,
  requestId: (prefix, asked, header, fresh) => `${prefix}-${header ?? asked ?? fresh}`,
  toolCallId: (fresh) => `chatcmpl-tool-${fresh}`,
  abortDelayMs: 0,
};

const sglang: Dialect = {
  name: 'sglang',
  prepareChat: prepareSglang,
  createChatStream: sglangAnswer.createChatStream,
  chatBody: sglangAnswer.chatBody,
  errorBody: sglangErrors.errorBody,
  errorEvent: sglangErrors.errorEvent,
  // X-Request-Id is not looked at.
  prepareCompletion: sglangCompletions.prepareCompletion,
  createCompletionStream: sglangCompletions.createCompletionStream,
  completionBody: sglangCompletions.completionBody,
  requestId: (_prefix, asked, _header, fresh) => asked ?? `${fresh}${fresh.split('').toReversed().join('')}`,
  toolCallId: (fresh) => `call_${fresh}${fresh.slice(0, 8)}`,
  // The abort is a background task that sleeps first.
  abortDelayMs: 2_000,
};

export const DIALECTS = { vllm, sglang } as const;
export type DialectName = keyof typeof DIALECTS;
