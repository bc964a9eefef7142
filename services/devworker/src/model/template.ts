/** The chat template: Qwen3's, as far as its text decides token counts and shared prefixes. */
import { stringifyExact } from '../http/python-json.ts';

export interface TemplateMessage {
  role: string;
  content: string;
  toolCalls: readonly { name: string; arguments: unknown }[];
}

export interface TemplateOptions {
  /** Tool definitions as the client sent them (`{"type":"function",...}`). */
  tools: readonly unknown[];
  addGenerationPrompt: boolean;
  continueFinalMessage: boolean;
  enableThinking: boolean;
}

function toolSection(tools: readonly unknown[]): string {
  const lines = tools.map((tool) => `\n${stringifyExact(tool)}`).join('');
  return (
    '# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' +
    `You are provided with function signatures within <tools></tools> XML tags:\n<tools>${lines}\n</tools>\n\n` +
    'For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n' +
    '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
  );
}

/** Renders a conversation. The end-of-turn mark of the last message is left out when it is to be continued. */
export function renderChat(messages: readonly TemplateMessage[], options: TemplateOptions): string {
  let text = '';
  let from = 0;
  if (options.tools.length > 0) {
    const system = messages[0]?.role === 'system' ? `${messages[0].content}\n\n` : '';
    if (messages[0]?.role === 'system') from = 1;
    text += `<|im_start|>system\n${system}${toolSection(options.tools)}<|im_end|>\n`;
  }
  for (let i = from; i < messages.length; i++) {
    const message = messages[i]!;
    if (message.role === 'tool') {
      if (messages[i - 1]?.role !== 'tool') text += '<|im_start|>user';
      text += `\n<tool_response>\n${message.content}\n</tool_response>`;
      if (messages[i + 1]?.role !== 'tool') text += '<|im_end|>\n';
      continue;
    }
    text += `<|im_start|>${message.role}\n${message.content}`;
    for (const [index, call] of message.toolCalls.entries()) {
      if (index > 0 || message.content !== '') text += '\n';
      text += `<tool_call>\n{"name": "${call.name}", "arguments": ${stringifyExact(call.arguments)}}\n</tool_call>`;
    }
    const open = options.continueFinalMessage && i === messages.length - 1;
    if (!open) text += '<|im_end|>\n';
  }
  if (options.addGenerationPrompt) {
    text += '<|im_start|>assistant\n';
    if (!options.enableThinking) text += '<think>\n\n</think>\n\n';
  }
  return text;
}
