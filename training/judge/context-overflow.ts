// Owns the many ways in which servers say that a prompt is too long for the context window, and the figures they give.
// It knows words, neither statuses nor what becomes of such an answer.

/** An error as an endpoint told it, whatever shape it had. */
export interface ToldError {
  readonly message: string;
  readonly type: string | null;
  readonly code: string | null;
  readonly param: string | null;
  /** llama.cpp's figures. */
  readonly promptTokens: number | null;
  readonly contextWindow: number | null;
}

export interface Overflow {
  readonly promptTokens: number | null;
  readonly contextWindow: number | null;
}

const codes = new Set(["context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"]);

/** Whose words they are stands beside them; figures are read where the sentence has them. */
const sentences: readonly RegExp[] = [
  // OpenAI, Azure, DeepSeek, OpenRouter, vLLM
  /maximum context length (?:is|of) (?<window>\d+)(?: tokens)?.*?(?:resulted in|requested(?: about)?|has) (?<prompt>\d+)/is,
  // vLLM before a request is scheduled
  /(?:decoder )?prompt \(length (?<prompt>\d+)\) is longer than the maximum model length of (?<window>\d+)/i,
  // SGLang
  /input \((?<prompt>\d+) tokens\) is longer than the model's context length \((?<window>\d+) tokens\)/i,
  // Mistral
  /prompt contains (?<prompt>\d+) tokens.*?too large for model with (?<window>\d+)/is,
  // Gemini
  /input token count \((?<prompt>\d+)\) exceeds the maximum number of tokens allowed \((?<window>\d+)\)/i,
  // Anthropic
  /prompt is too long: (?<prompt>\d+) tokens > (?<window>\d+)/i,
  // TGI
  /inputs` tokens \+ `max_new_tokens` must be <= (?<window>\d+)/i,
  /inputs` must have less than (?<window>\d+) tokens.*?given: (?<prompt>\d+)/is,
  // LM Studio
  /first (?<prompt>\d+) tokens when context the overflows.*?context length of only (?<window>\d+)/is,
  /tokens to keep from the initial prompt is greater than the context length/i,
  // llama.cpp
  /exceeds? the available context size/i,
  // Cohere and whoever else says it in these words
  /too many tokens: total number of tokens in the prompt/i,
  /maximum context length|context (?:length|window)(?: is| was)? exceeded|exceeds? (?:the |this |its )?(?:model's )?(?:maximum )?context (?:length|window|size)/i,
];

/** The figures of an overflow, or null when the error is another one. */
export function readOverflow(error: ToldError): Overflow | null {
  for (const sentence of sentences) {
    const match = sentence.exec(error.message);
    if (match === null) continue;
    return {
      promptTokens: error.promptTokens ?? figure(match.groups?.["prompt"]),
      contextWindow: error.contextWindow ?? figure(match.groups?.["window"]),
    };
  }
  const isNamed = codes.has(error.code ?? "") || codes.has(error.type ?? "");
  return isNamed ? { promptTokens: error.promptTokens, contextWindow: error.contextWindow } : null;
}

const figure = (text: string | undefined) => (text === undefined ? null : Number(text));
