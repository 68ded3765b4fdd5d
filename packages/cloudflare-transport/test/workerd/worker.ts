/** The Worker under test: the hub as it is shipped, one impatient, one strict, and the bridge alone. */
import { SessionGateway as PlainGateway } from "../../src/gateway/SessionGateway.ts"
import { SignalHub as PlainHub } from "../../src/hub/SignalHub.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { gateway } from "./deployment.ts"
import { AccountActor } from "./durable/actors.ts"
import { JWT_SECRET } from "./secret.ts"
import { tickets } from "./tickets.ts"

export { StewardActor } from "./Steward.ts"
export { BuyerActor, ClockActor } from "./durable/actors.ts"
export { AccountActor }
export { ShelfActor } from "./durable/shelf.ts"
export { Echo } from "./Echo.ts"
export { Host } from "./Host.ts"
export {
  UpgradingAccount,
  UpgradingDirectory,
  UpgradingGateway,
  UpgradingHub,
  UpgradingTopic,
} from "./upgrading.ts"

/** Finds the silent within milliseconds, and makes a row of every ask at once. */
export class ImpatientHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, LIMITS: { heartbeatInterval: 50, sweepInterval: 20, askVolatileFor: 0 } })
  }
}

/** Wants tokens that are signed with a secret. */
export class TokenHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token", JWT_SECRET, LOG_LEVEL: "info" })
  }
}

/** Few sockets that were closed are as many as it bears. */
const GUARDED = { maxUnconnectedSockets: 2, maxClosedSockets: 3, connectTimeout: 500 }

export class GuardedHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token", JWT_SECRET, LIMITS: GUARDED })
  }
}

export class GuardedGateway extends PlainGateway {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    const own: Cloudflare.Env & HubEnv = { ...env, LIMITS: GUARDED }
    super(ctx, own)
  }
}

export class TicketHub extends tickets.SignalHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token" })
  }
}

/** Gives each connection a few envelopes and no more in a test's time, and small buffers. */
export class StrictHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    const rate = { maxEnvelopesPerSecond: 0.001, envelopeBurst: 20, maxRefusals: 5 }
    const flow = { pauseThreshold: 8_000, resumeThreshold: 2_000, maxUnacknowledged: 40_000 }
    super(ctx, { ...env, LIMITS: { ...rate, ...flow, maxMessageSize: 100_000 } })
  }
}

export const { SignalHub, actors } = gateway

/** Counts the rows that are read by way of this storage. */
const countReads = ({ sql }: DurableObjectStorage): (() => number) => {
  const exec = sql.exec.bind(sql)
  const cursors: Array<{ readonly rowsRead: number }> = []
  sql.exec = <T extends Record<string, SqlStorageValue>>(query: string, ...bindings: Array<unknown>) => {
    const cursor = exec<T>(query, ...bindings)
    cursors.push(cursor)
    return cursor
  }
  return () => cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0)
}

/** Knows the rows that it has read in this life, its beginning included. */
export class CountingHub extends PlainHub {
  readonly rowsRead: () => number

  constructor(ctx: DurableObjectState, env: HubEnv) {
    const rowsRead = countReads(ctx.storage)
    super(ctx, env)
    this.rowsRead = rowsRead
  }
}

/** Forgets identities as soon as they are gone. */
export class SessionGateway extends gateway.SessionGateway {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    const own: Cloudflare.Env & HubEnv = { ...env, LIMITS: { identityKeptFor: 0 } }
    super(ctx, own)
  }
}

export class CountingGateway extends PlainGateway {
  readonly rowsRead: () => number

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    const rowsRead = countReads(ctx.storage)
    super(ctx, env)
    this.rowsRead = rowsRead
  }
}

export class CountingAccount extends AccountActor {
  readonly rowsRead: () => number

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    const rowsRead = countReads(ctx.storage)
    super(ctx, env)
    this.rowsRead = rowsRead
  }
}
export { Directory } from "../../src/directory/Directory.ts"
export { TopicHub } from "../../src/topics/TopicHub.ts"
export { Desk, Room } from "./Backends.ts"

export default gateway.worker
