import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  actorSubject,
  escapeToken,
  maxSubjectBytes,
  parseActorSubject,
  unescapeToken,
} from "../../src/store/subject.ts";

const id = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
const type = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,20}$/);
const prefix = fc.stringMatching(/^[a-z0-9_-]{1,8}(\.[a-z0-9_-]{1,8}){0,2}$/);

describe("subjects", () => {
  it("give back the actor they were made of", () => {
    fc.assert(
      fc.property(prefix, type, id, (before, actorType, actorId) => {
        const subject = actorSubject(before, { type: actorType, id: actorId });
        expect(subject).toMatch(/^[A-Za-z0-9_=.-]+$/);
        expect(subject.length).toBeLessThanOrEqual(maxSubjectBytes);
        expect(subject.split(".")).toHaveLength(before.split(".").length + 2);
        expect(parseActorSubject(before, subject)).toEqual({ type: actorType, id: actorId });
      }),
    );
  });

  it("belong to an actor only where they are that actor's subject", () => {
    const token = fc.stringMatching(/^([A-Za-z0-9_-]|=[0-9A-Fa-f]{2}|=|\.){0,12}$/);
    fc.assert(
      fc.property(token, (text) => {
        const subject = `bank.account.${text}`;
        const actor = parseActorSubject("bank", subject);
        if (actor !== undefined) expect(actorSubject("bank", actor)).toBe(subject);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("tokens", () => {
  it("give back the text they were made of", () => {
    fc.assert(
      fc.property(id, (text) => {
        expect(unescapeToken(escapeToken(text))).toBe(text);
      }),
    );
  });

  it("never come from two texts", () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(escapeToken(a) === escapeToken(b)).toBe(a === b);
      }),
    );
  });
});
