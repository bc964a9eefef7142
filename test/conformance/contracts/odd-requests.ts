/** Requests of odd kinds, each with its decided answer; `odd-requests.test.ts` has a test of each name. */
export const ODD_REQUESTS = {
  'HEAD of an address that has GET': 'the same status and headers, no body',
  'another method': '405 with `Allow`, in the status that the contract has for it',
  'OPTIONS, a CORS preflight': 'as another method; no `Access-Control-*` header anywhere: keys belong on servers',
  'a body of another type or charset': '415, in the status that the contract has for it',
  'a body without a type': 'taken for JSON, unless the contract requires the header (dos-ai)',
  'a compressed body': '415, in the status that the contract has for it',
  'a JSON key twice, also in escapes': 'the last one counts, and only that one is checked',
  'half of a surrogate pair': 'refused, the error names the field',
  'bytes that are no UTF-8, a byte order mark': '400 `invalid_json`',
  '`messages: null`': 'refused, the error names `messages`',
  'several Authorization headers': '401: whose key counts would be a guess',
  'Authorization beside `x-api-key`': 'Authorization counts',
  'a model id with a slash, raw or as %2F': 'the same model; encoded twice it is another id: 404',
  'another case of the path, a slash or a query at its end': 'the same endpoint',
} as const;
