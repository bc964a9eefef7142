/** Log probabilities that look like a model's: the chosen token likely, others less, the same for the same place. */
import type { Tokenizer } from '../../model/bpe.ts';
import { drawFrom, mixInt } from '../../model/seeded.ts';

export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[];
}

export interface ContentLogprob extends TokenLogprob {
  top_logprobs: TokenLogprob[];
}

export interface Candidate {
  id: number;
  logprob: number;
}

/** The chosen token first, then `count - 1` others, in falling order. `place` makes it repeat. */
export function candidates(tokenizer: Tokenizer, id: number, place: number, count: number): Candidate[] {
  const draw = drawFrom(mixInt(place + 1, id));
  const list: Candidate[] = [{ id, logprob: -(draw() ** 2) * 1.5 - 0.0001 }];
  let last = list[0]!.logprob;
  while (list.length < count) {
    const other = 7 + Math.floor(draw() * (tokenizer.vocabSize - 7));
    if (list.some((candidate) => candidate.id === other)) continue;
    last -= 0.4 + draw() * 1.6;
    list.push({ id: other, logprob: last });
  }
  return list;
}

function shown(tokenizer: Tokenizer, { id, logprob }: Candidate): TokenLogprob {
  return { token: tokenizer.textOf(id), logprob, bytes: [...tokenizer.bytesOf(id)] };
}

/** One element of `logprobs.content` of a chat answer. */
export function contentLogprob(tokenizer: Tokenizer, id: number, place: number, top: number): ContentLogprob {
  const list = candidates(tokenizer, id, place, Math.max(1, top));
  return { ...shown(tokenizer, list[0]!), top_logprobs: list.slice(0, top).map((item) => shown(tokenizer, item)) };
}

/** `prompt_logprobs`: null for the first token, then a dictionary by token id. */
export function promptLogprobs(tokenizer: Tokenizer, ids: readonly number[]): unknown[] {
  return ids.map((id, place) =>
    place === 0
      ? null
      : {
          [id]: {
            logprob: candidates(tokenizer, id, place, 1)[0]!.logprob,
            rank: 1,
            decoded_token: tokenizer.textOf(id),
          },
        },
  );
}
