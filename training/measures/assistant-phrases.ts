// Owns telling whether somebody speaks as an assistant does: offers help, asks what else is wanted, calls itself an AI. English only.
// A user who does so has fallen out of the role. It knows the words of one turn and nothing else.

const help = "(?:help|assist)";
const phrases: readonly string[] = [
  // "As an AI language model", "I'm just a virtual assistant".
  String.raw`\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b`,
  String.raw`\bi(?:'m| am) (?:just |only )?an? (?:ai|artificial intelligence|(?:large )?language model|(?:virtual |ai )?assistant)\b`,
  // "How can I help you?", "May I assist you?", "I'd be happy to help", "I can help you with".
  String.raw`\b(?:how|what) (?:else )?(?:can|may|could) i (?:${help}|do for) (?:you|with)`,
  String.raw`\b(?:can|may|could|shall) i ${help} you\b`,
  String.raw`\bi(?:'m| am|'d be| would be|'ll be| will be) (?:happy|glad|pleased|here|able) to ${help}\b`,
  String.raw`\bi can (?:certainly |definitely |also )?${help} (?:you|with)\b`,
  // "Anything else I can do?", "Do you need any further assistance?".
  String.raw`\b(?:any|some)thing else (?:that )?(?:i|we) (?:can|could|may) (?:${help}|do)\b`,
  String.raw`\bdo you (?:need|require|want) (?:any )?(?:further |other |more |additional )*(?:help|assistance|information)\b`,
  // "Let me know if you have other questions", "Feel free to ask".
  String.raw`\blet me know if (?:you|there)\b`,
  String.raw`\bfeel free to (?:ask|reach|let|contact)\b`,
];
const anyPhrase = new RegExp(phrases.join("|"), "i");

/** Whether the text has a phrase that assistants say in 1 to 8 % of their turns, and people in hardly any. */
export function speaksAsAssistant(text: string): boolean {
  return anyPhrase.test(text.replaceAll("’", "'"));
}
