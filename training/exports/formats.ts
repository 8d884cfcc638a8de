// Owns which formats there are. What each is stands in a file of its own.
import { axolotl } from "./axolotl.ts";
import { dpo } from "./dpo.ts";
import { fastchat } from "./fastchat.ts";
import type { Format } from "./format.ts";
import { huggingFace } from "./hugging-face.ts";
import { llamaFactory } from "./llama-factory.ts";
import { openai } from "./openai.ts";
import { platolm } from "./platolm.ts";
import { together, togetherTokenized } from "./together.ts";
import { tokenized } from "./tokenized.ts";
import { torchtune } from "./torchtune.ts";
import { trl, trlCompletion, trlTokenized } from "./trl.ts";
import { unsloth } from "./unsloth.ts";

export const formats: readonly Format[] = [
  tokenized,
  trl,
  trlCompletion,
  trlTokenized,
  axolotl,
  llamaFactory,
  unsloth,
  fastchat,
  torchtune,
  openai,
  together,
  togetherTokenized,
  huggingFace,
  dpo,
  platolm,
];
