// Owns what a served model may be called, and the name of its folder: one rule for importer, server and training.
const pattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** Ends a sentence that begins with the id or the field that holds it. */
export const modelIdRule = 'must be letters, digits, ".", "_", "-" or ":", and begin with a letter or digit';

/** No path, whatever the system: an id that was checked may become part of one through modelFolderName. */
export function isModelId(id: string): boolean {
  return pattern.test(id);
}

/** The folder that a model is put into. Not every system takes a colon, which ids of fine-tuned models have. */
export function modelFolderName(id: string): string {
  return id.replaceAll(":", "%3A");
}

/** By OpenAI's convention. These alone may be removed by a request, and are no longer served when their folder is gone. */
export function isFineTuned(id: string): boolean {
  return id.startsWith("ft:");
}
