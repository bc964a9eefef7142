/** What an answer is cut into while it is kept: its head, its bytes, or (a plain answer) both at once. */
export type AnswerPart =
  | { kind: 'head'; status: number; headers: Record<string, string> }
  /** Bytes as latin1 text. */
  | { kind: 'bytes'; text: string }
  | { kind: 'whole'; status: number; headers: Record<string, string>; text: string };

/** One line of JSON before the bytes; all of it latin1 (headers are ASCII). */
export function encodePart(part: AnswerPart): string {
  const { text = '', ...rest } = { text: '', ...part };
  return `${JSON.stringify(rest)}\n${text}`;
}

export function decodePart(encoded: string): AnswerPart {
  const end = encoded.indexOf('\n');
  const head = JSON.parse(encoded.slice(0, end)) as AnswerPart;
  return head.kind === 'head' ? head : { ...head, text: encoded.slice(end + 1) };
}

/** Where a part lies: it opens nowhere else (`Seal`). */
export function placeOf(digest: string, requestId: string, index: number): string {
  return `${digest}:${requestId}:${index}`;
}
