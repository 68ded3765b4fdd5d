/** Objects of each kind whose code is of the version that a test deploys, with steps that a test can follow. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { DurableObject } from "cloudflare:workers"
import type { ActorRpc, Batch, Served } from "../../src/delivery/ActorRpc.ts"
import { DurableActorHost } from "../../src/durable/DurableActor.ts"
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { Directory } from "../../src/directory/Directory.ts"
import { SessionGateway } from "../../src/gateway/SessionGateway.ts"
import { TopicHub } from "../../src/topics/TopicHub.ts"
import { SignalHub } from "../../src/hub/SignalHub.ts"
import { DIRECTORY, GATEWAY, HUB, TOPIC } from "../../src/object/Schema.ts"
import type { Step } from "../../src/object/SchemaVersion.ts"
import { type Schema, versioned } from "../../src/object/Tables.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { accountOptions } from "./durable/actors.ts"

/** Objects that begin from now on have this code. */
export const deployed = { version: 1, fails: false }

/** Version 2 has one more column, which older code can leave alone; version 3 gives it a meaning that it can't. */
const stepsOf = (table: string): ReadonlyArray<Step> => [
  { readableFrom: 1, upgrade: () => {} },
  {
    readableFrom: 3,
    upgrade: (sql) => {
      sql.run(`UPDATE ${table} SET note = note || ', three'`)
      if (deployed.fails) throw new Error("the disk is full")
    },
  },
]

/** The schema as the code that is deployed has it. */
const current = (name: string, schema: Schema, table: string): Schema => {
  const { create, indexes } = schema.get(table)!
  const noted = create.replace(/\n *\) WITHOUT ROWID$/, ",\n  note TEXT NOT NULL DEFAULT 'two'$&")
  const tables = deployed.version === 1 ? schema : new Map(schema).set(table, { create: noted, indexes })
  return versioned(name, tables, ...stepsOf(table).slice(0, deployed.version - 1))
}

export class UpgradingHub extends SignalHub<Cloudflare.Env> {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env, {}, current("hub", HUB, "identity"))
  }
}

export class UpgradingGateway extends SessionGateway<Cloudflare.Env> {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    // It forgets identities as soon as they are gone.
    const own: Cloudflare.Env & HubEnv = { ...env, LIMITS: { identityKeptFor: 0 } }
    super(ctx, own, {}, current("gateway", GATEWAY, "identity"))
  }
}

export class UpgradingTopic extends TopicHub {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env, current("topic", TOPIC, "member"))
  }
}

export class UpgradingDirectory extends Directory {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env, current("directory", DIRECTORY, "entry"))
  }
}

export class UpgradingAccount extends DurableObject<Cloudflare.Env> implements Served<ActorRpc> {
  readonly #actor: DurableActorHost

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env)
    this.#actor = new DurableActorHost(ctx, accountOptions, current("actor", DURABLE, "actor_snapshot"))
  }

  deliver(batch: Batch) {
    return this.#actor.deliver(batch)
  }

  request(asked: Envelope.Envelope, timeout: number) {
    return this.#actor.request(asked, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address) {
    return this.#actor.watch(target, watcher)
  }

  unwatch(target: Address.Address, watcher: Address.Address) {
    return this.#actor.unwatch(target, watcher)
  }

  override alarm(): Promise<void> {
    return this.#actor.alarm()
  }
}
