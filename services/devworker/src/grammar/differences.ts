/**
 * Where the WebAssembly release of XGrammar (0.1.27) and the recorded one (0.2.8 inside vLLM 0.29.0) differ, and what
 * the devworker does about it. The goldens recorded with xgrammar pinned are the truth.
 *
 * | case | 0.2.8 (recorded) | 0.1.27 (WASM) | devworker |
 * |---|---|---|---|
 * | source line in messages | `<path>:83`, `:4944`, `:4950` | path and line of its own | prints the recorded lines |
 * | `"enum": []` | refused: enum array must not be empty | EBNF parser error | says what was recorded |
 * | `minimum` > `maximum` | Invalid range: minimum greater than maximum | the same after `Check failed: ...` | cut to the recorded text |
 * | `$ref` to nowhere | Cannot find field $defs in #/$defs/nope | prints the whole schema instead | prints the reference |
 * | look-around in a schema's `pattern` | accepted, ignored | refused | dropped before compiling |
 * | regex `""` | accepted, empty answer | cannot compile | answers '' without compiling |
 * | `multipleOf` with type, obeyed | refused by vLLM before it is asked | - | refused in vLLM's words |
 * | wildcards in a schema's `pattern` | not recorded | may match a raw quote and end the string | narrowed: no quote, backslash, control |
 * | `a|b` in a schema's `pattern` | not recorded | quotes bind to the outer alternatives | put into a group |
 * | decimal point in a number's bound | not recorded | a wildcard | a point is chosen |
 * | 60 objects inside each other | compiles | memory fault | 400, thread replaced |
 * | `structural_tag`, `or` of a document and `tags_with_separator` | compiles | memory fault | the tags themselves: one call, or two |
 * | `structural_tag`, legacy triggers | free text until a trigger | the same | free text, triggers are not followed |
 */

/** Source lines in recorded messages. */
export const XGRAMMAR_LINES = { regex: '<path>:83', schema: '<path>:4944', reference: '<path>:4950' } as const;

/** Turns a message of 0.1.27 (`[FATAL] file:line: text`) into the recorded release's. `schema` is the JSON text. */
export function recordedMessage(message: string, schema: string): string {
  const text = message.replace(/^\[FATAL\]\s*/, '').replace(/^\S+\.(?:cc|h):\d+:\s*/, '');
  if (/^Regex parsing error/.test(text)) return `${XGRAMMAR_LINES.regex}: ${text}`;
  const field = /Cannot find field (\S+) in /.exec(text);
  if (field) {
    const reference = [...schema.matchAll(/"\$ref"\s*:\s*"(#[^"]*)"/g)].find((match) =>
      match[1]!.includes(`/${field[1]}`),
    );
    return `${XGRAMMAR_LINES.reference}: Cannot find field ${field[1]} in ${reference?.[1] ?? '#'}`;
  }
  return `${XGRAMMAR_LINES.schema}: ${text.replace(/^Check failed: .*? is false: /, '')}`;
}
