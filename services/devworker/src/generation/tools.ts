/** Tools as the model sees them, and which of them it calls. */
import type { Draw } from '../model/seeded.ts';

export interface ToolSpec {
  name: string;
  description: string | undefined;
  /** JSON Schema of the arguments, as JSON text; undefined allows any JSON. */
  parameters: string | undefined;
  strict: boolean;
}

/** Whether a message speaks of a tool: by its name, or by every word of its name. */
export function mentions(text: string, tool: ToolSpec): boolean {
  const lower = text.toLowerCase();
  if (lower.includes(tool.name.toLowerCase())) return true;
  const words = tool.name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word.length > 2 && word !== 'get' && word !== 'the');
  return words.length > 0 && words.every((word) => lower.includes(word));
}

/**
 * The tools that an answer calls, in order. `auto`: those that the last user message mentions, none when the
 * conversation ends with a tool's result. `forced`: the named one, else the mentioned ones, else any one.
 */
export function toolsToCall(
  mode: 'none' | 'auto' | 'forced',
  tools: readonly ToolSpec[],
  options: { named: string | undefined; lastUserText: string; answeringTool: boolean; parallel: boolean },
  draw: Draw,
): ToolSpec[] {
  if (mode === 'none' || tools.length === 0) return [];
  if (options.named !== undefined) return tools.filter((tool) => tool.name === options.named).slice(0, 1);
  if (mode === 'auto' && options.answeringTool) return [];
  const mentioned = tools.filter((tool) => mentions(options.lastUserText, tool));
  const called = mentioned.length > 0 || mode === 'auto' ? mentioned : [tools[Math.floor(draw() * tools.length)]!];
  return options.parallel ? called : called.slice(0, 1);
}

/** How Qwen spells a call, up to its arguments. */
export function callPrefix(name: string): string {
  return `<tool_call>{"name": ${JSON.stringify(name)}, "arguments": `;
}

export const CALL_SUFFIX = '}</tool_call>';
