/** Whether an engine counts as well, from one answer after the other. Pure. */
export interface Health {
  isWell: boolean;
  /** Answers in a row that said otherwise. */
  misses: number;
}

export const UNKNOWN: Health = { isWell: false, misses: 0 };

/** One good answer is enough; it takes three bad ones in a row, since a busy engine may be late. */
const MISSES_TO_FALL = 3;

export function judge(before: Health, isWell: boolean): Health {
  if (isWell) return { isWell: true, misses: 0 };
  const misses = before.misses + 1;
  return { isWell: before.isWell && misses < MISSES_TO_FALL, misses };
}
