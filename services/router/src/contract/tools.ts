/** Tools and tool choice of OpenAI's chat contract. */
import {
  checkArray,
  checkBoolean,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  missing,
  unsupported,
} from './checks.ts';
import type { Tool, ToolChoice } from './request.ts';

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_DESCRIPTION = 32_768;

function checkName(path: string, value: unknown): string {
  if (value === undefined) throw missing(path);
  const name = checkString(path, value);
  if (!NAME.test(name)) throw invalid(path, 'expected 1 to 64 of A-Z, a-z, 0-9, _ and -.');
  return name;
}

export function parseTools(value: unknown, min: number, max: number): Tool[] | null {
  if (isAbsent(value)) return null;
  return checkArray('tools', value, min, max).map((entry, i) => {
    const path = `tools[${i}]`;
    const raw = checkObject(path, entry);
    if (raw.type !== 'function') {
      checkString(`${path}.type`, raw.type);
      throw unsupported(`${path}.type`, "Only tools of type 'function' are supported.");
    }
    const fn = checkObject(`${path}.function`, raw.function);
    const tool: Tool = { type: 'function', function: { name: checkName(`${path}.function.name`, fn.name) } };
    if (!isAbsent(fn.description)) {
      tool.function.description = checkString(`${path}.function.description`, fn.description, MAX_DESCRIPTION);
    }
    if (!isAbsent(fn.parameters)) tool.function.parameters = checkObject(`${path}.function.parameters`, fn.parameters);
    if (!isAbsent(fn.strict)) tool.function.strict = checkBoolean(`${path}.function.strict`, fn.strict);
    return tool;
  });
}

/** `auto` and `none` without tools mean nothing and are dropped: vLLM refuses a choice without tools. */
export function parseToolChoice(value: unknown, tools: readonly Tool[] | null): ToolChoice | null {
  if (isAbsent(value)) return null;
  if (typeof value === 'string') {
    const choice = checkOneOf('tool_choice', value, ['none', 'auto', 'required']);
    if (tools !== null) return choice;
    if (choice === 'required') throw invalid('tool_choice', "'required' is only allowed when 'tools' are specified.");
    return null;
  }
  const raw = checkObject('tool_choice', value);
  if (raw.type !== 'function') {
    checkString('tool_choice.type', raw.type);
    throw unsupported('tool_choice.type', "Only 'function' is supported.");
  }
  const fn = checkObject('tool_choice.function', raw.function);
  const name = checkName('tool_choice.function.name', fn.name);
  if (!tools?.some((tool) => tool.function.name === name)) {
    throw invalid('tool_choice.function.name', "no tool of that name is in 'tools'.");
  }
  return { type: 'function', function: { name } };
}
