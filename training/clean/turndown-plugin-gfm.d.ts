// The types that @joplin/turndown-plugin-gfm does not ship; only what is used of it.
declare module "@joplin/turndown-plugin-gfm" {
  import type TurndownService from "turndown";
  export function gfm(service: TurndownService): void;
}
