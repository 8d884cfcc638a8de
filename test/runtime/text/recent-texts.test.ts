import fc from "fast-check";
import { expect, it } from "vitest";
import { RecentTexts } from "../../../runtime/text/recent-texts.ts";

it("the latest texts are remembered, as far as they fit together", () => {
  const most = 20;
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 12 }), { maxLength: 40 }), (texts) => {
      const recent = new RecentTexts(most);
      const order: string[] = [];
      for (const text of texts) {
        recent.set(text, [text.length]);
        if (!order.includes(text)) order.push(text);
        while (order.join("").length > most) order.shift();
        for (const other of texts)
          expect(recent.get(other)).toEqual(order.includes(other) ? [other.length] : undefined);
      }
    }),
  );
});

it("a text that is longer than all room is not remembered, and drives out no other", () => {
  const recent = new RecentTexts(4);
  recent.set("abc", [1]);
  recent.set("abcde", [2]);
  expect([recent.get("abc"), recent.get("abcde")]).toEqual([[1], undefined]);
});
