/**
 * A second opinion on documents: plain ajv of the schema's own draft over the customer's schema as it came, sharing nothing with the
 * gate's normalised form, linear-time patterns or caches.
 */
import { Ajv } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import AjvDraft04 from 'ajv-draft-04';
import { fullFormats } from 'ajv-formats/dist/formats.js';

const FORMATS = [
  'date',
  'time',
  'date-time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uuid',
  'uri',
  'uri-reference',
  'uri-template',
  'json-pointer',
  'relative-json-pointer',
];

type Options = ConstructorParameters<typeof Ajv>[0];

function classFor(schema: unknown): new (options: Options) => Ajv {
  const declared = String((schema as { $schema?: unknown } | null)?.$schema ?? '');
  const text = JSON.stringify(schema);
  if (/draft-04/.test(declared)) return AjvDraft04.default as unknown as new (options: Options) => Ajv;
  if (/draft-0[67]/.test(declared)) return Ajv;
  if (/2019-09/.test(declared)) return Ajv2019 as unknown as new (options: Options) => Ajv;
  if (declared === '' && /"exclusiveM(in|ax)imum":(true|false)/.test(text)) {
    return AjvDraft04.default as unknown as new (
      options: Options,
    ) => Ajv;
  }
  if (declared === '' && /"items":\[|"definitions":|"dependencies":/.test(text)) return Ajv;
  return Ajv2020 as unknown as new (
    options: Options,
  ) => Ajv;
}

/** Undefined when ajv itself cannot compile the schema. */
export function oracle(given: unknown): ((document: unknown) => boolean) | undefined {
  // ajv's own `$async` would make it answer with promises.
  const schema: unknown = JSON.parse(JSON.stringify(given), (key, value) => (key === '$async' ? undefined : value));
  for (const unicodeRegExp of [true, false]) {
    const ajv = new (classFor(schema))({
      strict: false,
      validateSchema: false,
      logger: false,
      unicodeRegExp,
      ownProperties: true,
      multipleOfPrecision: 10,
    });
    for (const name of FORMATS) ajv.addFormat(name, (fullFormats as unknown as Record<string, never>)[name]!);
    try {
      const validate = ajv.compile(schema as object);
      return (document) => validate(document) === true;
    } catch {
      // Patterns such as [\w-.] are no regular expressions with the u flag; the second round reads them without.
    }
  }
  return undefined;
}
