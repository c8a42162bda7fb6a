const grants = [
  {
    type: "grant",
    reference: "bought",
    at: "2026-03-01T00:00:00Z",
    items: [{ account: "alice", amount: "1000", expiresAt: null }],
  },
  {
    type: "grant",
    reference: "gift",
    at: "2026-03-02T00:00:00Z",
    items: [{ account: "alice", amount: "500", expiresAt: "2026-06-01T00:00:00Z" }],
  },
];

const bought = {
  creditRef: "bought",
  creditIndex: 0,
  expiration: null,
  grantedAt: "2026-03-01T00:00:00Z",
};

const gift = {
  creditRef: "gift",
  creditIndex: 0,
  expiration: "2026-06-01T00:00:00Z",
  grantedAt: "2026-03-02T00:00:00Z",
};

/** A few scenarios in the form of the files that the example reads. */
export const builtInScenarios: object = {
  scenarios: [
    {
      name: "a spend drains what was granted first, or what expires first",
      events: [
        ...grants,
        {
          type: "spend",
          reference: "spent",
          at: "2026-03-03T00:00:00Z",
          items: [{ account: "alice", amount: "700" }],
        },
      ],
      queries: [
        {
          kind: "lots",
          account: "alice",
          expect: [
            { ...bought, remaining: 300 },
            { ...gift, remaining: 500 },
          ],
          expectExpirationFirst: [
            { ...bought, remaining: 800 },
            { ...gift, remaining: 0 },
          ],
        },
        {
          kind: "balance",
          account: "alice",
          asOf: "2026-06-01T00:00:00Z",
          expect: 300,
          expectExpirationFirst: 800,
        },
      ],
    },
    {
      name: "a transfer hands an expiry on, and never a later one",
      events: [
        ...grants.slice(1),
        {
          type: "transfer",
          reference: "handed",
          at: "2026-03-03T00:00:00Z",
          sender: "alice",
          issuers: [],
          items: [{ account: "bob", amount: "200", expiresAt: "2027-01-01T00:00:00Z" }],
        },
      ],
      queries: [
        {
          kind: "details",
          account: "bob",
          asOf: "2026-04-01T00:00:00Z",
          expect: { total: 200, details: [{ expiration: gift.expiration, amount: 200 }] },
        },
        {
          kind: "list",
          asOf: "2026-04-01T00:00:00Z",
          minBalance: 0,
          page: 2,
          pagination: 1,
          expect: [["bob", 200]],
        },
        { kind: "count", asOf: "2026-06-01T00:00:00Z", minBalance: 1, expect: 0 },
      ],
    },
    {
      name: "an issuer grants what it does not have, and the first write wins",
      events: ["40", "99"].map((amount) => ({
        type: "transfer",
        reference: "issued",
        at: "2026-03-03T00:00:00Z",
        sender: "house",
        issuers: ["house"],
        items: [{ account: "bob", amount, expiresAt: null }],
      })),
      queries: [
        { kind: "balance", account: "bob", asOf: "2026-04-01T00:00:00Z", expect: 40 },
        {
          kind: "validateTransfer",
          account: "bob",
          asOf: "2026-04-01T00:00:00Z",
          amount: 41,
          expect: false,
        },
      ],
    },
  ],
};
