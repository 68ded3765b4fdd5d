/** Faults of resuming and of taking over: fences, epochs, tokens, what passes. */
import { hub, type Mutant, session } from "./Mutant.ts"

export const TAKEOVER: ReadonlyArray<Mutant> = [
  {
    breaks: "no fence: an old connection speaks for the session",
    file: session("Sessions"),
    edits: [
      [
        "if (session === undefined || session.connectionId !== connection.id) return undefined",
        "if (session === undefined) return undefined",
      ],
    ],
  },
  {
    breaks: "a grace period begins with the close of an old epoch",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const session = hub.sessions.of(connection)\n  hub.transition",
        'const session = hub.sessions.byId(connection.sessionId ?? "")\n  hub.transition',
      ],
    ],
  },
  {
    breaks: "a resume begins no epoch",
    file: hub("session/Resumption"),
    edits: [["session.epoch++", ""]],
  },
  {
    breaks: "a takeover begins no epoch",
    file: session("Takeover"),
    edits: [["epoch: storedEpoch + 1", "epoch: storedEpoch"]],
  },
  {
    breaks: "the token that was given before is void at once",
    file: hub("session/Resumption"),
    edits: [["session.previousToken = resume!.resumeToken", "session.previousToken = null"]],
  },
  {
    breaks: "a resumed session's end stays due",
    file: hub("session/Resumption"),
    edits: [["session.graceUntil = null", ""]],
  },
  {
    breaks: "the outbox of the loser goes nowhere",
    file: hub("Outboxes"),
    edits: [["if (passing.length > 0) this.of(winner).adopt(passing)", ""]],
  },
  {
    breaks: "the outbox of the loser passes in the wrong order",
    file: session("Outbox"),
    edits: [
      [
        "for (const { envelope, receivedAt } of kept) {",
        "for (const { envelope, receivedAt } of kept.toReversed()) {",
      ],
    ],
  },
  {
    breaks: "the loser's connection stays open",
    file: hub("session/IdentityClaim"),
    edits: [
      [
        "endAsks(hub, loser, now)\n    if (connection !== undefined) disconnectSuperseded(hub, loser, connection, now)",
        "endAsks(hub, loser, now)",
      ],
    ],
  },
  {
    breaks: "the loser's session stays",
    file: hub("session/IdentityClaim"),
    edits: [["  hub.sessions.remove(loser)\n", ""]],
  },
  {
    breaks: "the loser's registrations stay its own",
    file: hub("session/IdentityClaim"),
    edits: [["hub.registry.pass(registration, winner)", ""]],
  },
  {
    breaks: "the identity is not told to be the winner's",
    file: hub("session/IdentityClaim"),
    edits: [
      [
        "sessions.setIdentity(session, identity, plan.epoch, counted)",
        "session.identity = identity; session.epoch = plan.epoch; sessions.save(session)",
      ],
    ],
  },
  {
    breaks: "a connection that is resumed over stays open",
    file: hub("session/Resumption"),
    edits: [["if (before !== undefined) disconnectSuperseded(hub, session, before, now)", ""]],
  },
]
