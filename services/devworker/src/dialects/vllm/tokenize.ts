/** POST /tokenize and /detokenize. */
import type { Tokenizer } from '../../model/bpe.ts';
import { renderChat } from '../../model/template.ts';
import type { ModelContext } from '../dialect.ts';
import { readBody } from './chat-request.ts';
import { unknownModel } from './errors.ts';
import { readMessages, readRawMessage } from './messages.ts';
import {
  isObject,
  optional,
  readAny,
  readBool,
  readDict,
  readInt,
  readList,
  readModel,
  readString,
  readUnion,
  WRAP,
  withDefault,
} from './pydantic.ts';

interface PromptForm {
  prompt: string;
  model: string | undefined;
  return_token_strs: boolean | undefined;
}

interface ChatForm {
  messages: Record<string, unknown>[];
  model: string | undefined;
  return_token_strs: boolean | undefined;
  add_generation_prompt: boolean;
  continue_final_message: boolean;
  chat_template_kwargs: Record<string, unknown> | undefined;
  tools: unknown[] | undefined;
}

const common = { model: optional(readString), return_token_strs: optional(readBool) };

const readForm = readUnion<PromptForm | ChatForm>([
  [WRAP, readModel<PromptForm>({ prompt: readString, ...common }, ['prompt'])],
  [
    WRAP,
    readModel<ChatForm>(
      {
        messages: readList(readRawMessage),
        ...common,
        add_generation_prompt: withDefault(readBool, true),
        continue_final_message: withDefault(readBool, false),
        chat_template_kwargs: optional(readDict(readAny)),
        tools: optional(readList(readAny)),
      },
      ['messages'],
    ),
  ],
]);

/** Body of the answer to /tokenize. Throws ApiError. */
export function tokenizeBody(body: unknown, context: ModelContext): string {
  const form = readBody(readForm, body);
  if (form.model !== undefined && form.model !== context.model) throw unknownModel(form.model);
  let text: string;
  if ('prompt' in form) text = form.prompt;
  else {
    const asked = form.chat_template_kwargs?.enable_thinking;
    text = renderChat(readMessages(form.messages, context.model), {
      tools: form.tools ?? [],
      addGenerationPrompt: form.add_generation_prompt,
      continueFinalMessage: form.continue_final_message,
      enableThinking: typeof asked === 'boolean' ? asked : context.thinkingByDefault,
    });
  }
  const tokens = context.tokenizer.encode(text);
  const strs = form.return_token_strs ? tokens.map((id) => context.tokenizer.spellingOf(id)) : null;
  return JSON.stringify({ count: tokens.length, max_model_len: context.maxModelLen, tokens, token_strs: strs });
}

const readDetokenize = readModel<{ model: string | undefined; tokens: number[] }>(
  { model: optional(readString), tokens: readList(readInt({ ge: 0 })) },
  ['tokens'],
);

/** Body of the answer to /detokenize. Throws ApiError. */
export function detokenizeBody(body: unknown, model: string, tokenizer: Tokenizer): string {
  const form = readBody(readDetokenize, isObject(body) ? body : {});
  if (form.model !== undefined && form.model !== model) throw unknownModel(form.model);
  return JSON.stringify({ prompt: tokenizer.decode(form.tokens) });
}
