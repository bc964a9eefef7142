/**
 * A structural tag as this build of XGrammar (0.1.27) can compile it. The workers' build takes an `or` of a JSON document and a
 * list of tags; this one aborts, but takes the tags themselves: one call, or two where several are allowed.
 */
interface Format {
  type?: unknown;
  elements?: Format[];
  tags?: Format[];
  separator?: string;
  stop_after_first?: boolean;
}

/** `tag` and the answer are JSON text; what is no such `or` comes back as it is. */
export function compilableTag(tag: string): string {
  let parsed: { format?: Format };
  try {
    parsed = JSON.parse(tag) as { format?: Format };
  } catch {
    return tag;
  }
  const { format } = parsed ?? {};
  if (format?.type !== 'or' || !Array.isArray(format.elements)) return tag;
  return JSON.stringify({ ...parsed, format: { ...format, elements: format.elements.flatMap(inline) } });
}

function inline(element: Format): Format[] {
  const { tags } = element;
  if (element.type !== 'tags_with_separator' || !Array.isArray(tags) || tags.length === 0) return [element];
  if (element.stop_after_first === true) return tags;
  const one: Format = tags.length === 1 ? tags[0]! : { type: 'or', elements: tags };
  const between = { type: 'const_string', value: element.separator ?? '' };
  return [...tags, { type: 'sequence', elements: [one, between, one] }];
}
