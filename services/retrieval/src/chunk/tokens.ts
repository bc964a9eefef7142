/**
 * Tokens of a text without a tokenizer: four letters of plain ASCII to a token, one other character each. An estimate for
 * sizes and budgets; bills use what the engines count.
 */
export function estimateTokens(text: string): number {
  let other = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) other++;
  return Math.ceil((text.length - other) / 4) + other;
}
