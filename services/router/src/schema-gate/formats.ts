/**
 * The formats that the gate knows, each as a pattern for the engine. The engines' own format grammars are looser than the
 * validators that customers run (`72.93.09.72`, the 31st of September, raw quotes in a JSON pointer were seen), so none is used.
 * Every string of a pattern here satisfies ajv-formats; the wilder corners of some formats (quoted mailboxes, literal IPv6 hosts) are
 * left out. A test draws strings from each.
 */
import { parseRegex, type RegexNode } from './regex-parse.ts';

const N = '[0-9]{1,9}';
const LEAP_YEAR = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const DATE =
  '(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))' +
  `|${LEAP_YEAR}-02-29)`;
const TIME =
  '(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9}){0,1}(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])';
const TIME_OF_DURATION = `T(?:${N}H(?:${N}M){0,1}(?:${N}S){0,1}|${N}M(?:${N}S){0,1}|${N}S)`;
const DAYS_OF_DURATION = `(?:${N}Y(?:${N}M){0,1}(?:${N}D){0,1}|${N}M(?:${N}D){0,1}|${N}D)`;
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9]){0,1}';
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])';
const H = '[0-9A-Fa-f]{1,4}';
const IPV6 = [
  `(?:${H}:){7}${H}`,
  `(?:${H}:){1,7}:`,
  ...[6, 5, 4, 3, 2].map((left) => `(?:${H}:){1,${left}}(?::${H}){1,${7 - left}}`),
  `${H}:(?::${H}){1,6}`,
  `::(?:${H}(?::${H}){0,6}){0,1}`,
].join('|');
const P = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const Q = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})";
const TAIL = `(?:\\?${Q}*){0,1}(?:#${Q}*){0,1}`;
const URI = `[A-Za-z][A-Za-z0-9+.-]{0,20}:(?://[A-Za-z0-9._~-]+(?::[0-9]{1,5}){0,1}(?:/${P}*)*|${P}+(?:/${P}*)*)${TAIL}`;
const POINTER = '(?:/(?:[^/~]|~[01])*)*';

const SOURCES: Record<string, string> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}T${TIME}`,
  duration: `P(?:${N}W|${DAYS_OF_DURATION}(?:${TIME_OF_DURATION}){0,1}|${TIME_OF_DURATION})`,
  email:
    '[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,16}){0,3}@(?:[A-Za-z0-9]{1,32}(?:-[A-Za-z0-9]{1,16}){0,3}\\.){1,4}[A-Za-z]{2,20}',
  hostname: `${LABEL}(?:\\.${LABEL}){0,6}`,
  ipv4: `${OCTET}(?:\\.${OCTET}){3}`,
  ipv6: `(?:${IPV6})`,
  uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  uri: URI,
  'uri-reference': `(?:${URI}|/{0,1}[A-Za-z0-9._~!$&'()*+,;=@-]+(?:/${P}*)*${TAIL})`,
  'uri-template': '(?:[A-Za-z0-9._~:/?#@!$&()*+,;=-]|\\{[A-Za-z0-9_]{1,32}\\})*',
  'json-pointer': POINTER,
  'relative-json-pointer': `(?:0|[1-9][0-9]{0,5})(?:#|${POINTER})`,
};

/** Parsed patterns by format name; a name that is missing is an annotation, as JSON Schema has it. */
export const FORMATS: ReadonlyMap<string, RegexNode> = new Map(
  Object.entries(SOURCES).map(([name, source]) => [name, parseRegex(`^(?:${source})$`)]),
);
