// Owns the guess at token counts for endpoints that give none. A guess from bytes, meant for budgets, not for bills.

/** What most tokenizers need for English; other scripts have more bytes and need more tokens for them. */
const bytesPerToken = 4;
/** Role names and marks around a message. */
const tokensPerMessage = 4;

export function estimateTextTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken);
}

export function estimatePromptTokens(messages: readonly { readonly content: string }[]): number {
  return messages.reduce((sum, { content }) => sum + tokensPerMessage + estimateTextTokens(content), tokensPerMessage);
}
