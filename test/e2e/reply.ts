/** An answer as tests look at it. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  /** null = no JSON: a stream, a file. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  json: any;
}

export async function readReply(response: Response): Promise<Reply> {
  const text = await response.text();
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    // A stream, a file.
  }
  return { status: response.status, headers: response.headers, text, json };
}
