/**
 * The table of messages from clients to the hub. Types, the set of requests, validation at both ends and the
 * dispatch of the hub derive from it. Its fields stand in the order in which the hub judges them.
 */
import { Envelope } from "@signal-hub/actor-core/vocabulary"
import { expected, type Fields, optional, required, type Sent } from "./Field.ts"
import * as Rule from "./FieldRules.ts"
import type { AnswerOf, AnswerType } from "./fromHub.ts"

/** A row of the table. */
interface RequestRow {
  /** The type of the answer; `null`: there is none. */
  readonly answer: AnswerType | null
  /** Whether a tell is left without an answer. Errors are answered all the same. */
  readonly isAskOnly?: true
  /** Whether the hub writes rows for it, so that it may wait for others to share a commit with. */
  readonly writes?: true
  /** Whether clients judge it too, before they send it. */
  readonly isJudgedByClients?: true
  /** The fields of the payload; `null`: the payload is null. */
  readonly payload: Fields | null
  /** Whether the payload may be null: it then says nothing of its fields. */
  readonly mayBeNull?: true
  /** Whether exactly one of the fields is given. */
  readonly isOneOf?: true
  /** The fields of the envelope's metadata. */
  readonly metadata?: Fields
}

/** Longest reason of a goodbye, in characters. */
const MAX_REASON_LENGTH = 256
/** Longest tag or nonce that is looked at, in characters. */
const MAX_TAG_LENGTH = 256
const MAX_NONCE_LENGTH = 64
/** Longest renewal token, in characters. */
const MAX_RENEWAL_TOKEN_LENGTH = 1_024
/** Longest subscription id, in characters. */
const MAX_SUBSCRIPTION_ID_LENGTH = 128

const NO_TAGS: ReadonlyArray<string> = Object.freeze([])
const NO_METADATA: Rule.Metadata = Object.freeze({})

const flag = optional(Rule.flag, { default: () => false })
const actorAddress = required(Rule.address)
const topic = required(Rule.topic)
/** The application's message inside a request. */
const type = required(Rule.innerType)
const data = expected(Rule.anything, { default: () => null })
const capabilities = optional(Rule.tags("maxCapabilities"), { default: () => NO_TAGS })
const metadata = optional(Rule.metadata("maxMetadataSize"), { default: () => NO_METADATA })
const ttl = Rule.number("minTtlSeconds", "maxTtlSeconds")
const limit = optional(Rule.count(1), { cap: "maxPageSize", default: ({ maxPageSize }) => maxPageSize })

/** Messages to the hub by their type. */
export const REQUESTS = {
  "hub:connect": {
    answer: "hub:connected",
    payload: null,
    metadata: {
      protocolVersion: required(Rule.version),
      authToken: optional(Rule.string),
      capabilities,
      actorIdentity: optional(Rule.claimable),
      clientMetadata: metadata,
      sessionExpirySeconds: optional(Rule.number(0), {
        cap: "maxSessionExpirySeconds",
        default: ({ defaultSessionExpirySeconds }, major) => defaultSessionExpirySeconds[major],
      }),
      resume: optional(Rule.resume, { since: 1 }),
      cleanStart: flag,
      reclaim: flag,
    },
  },
  "hub:heartbeat": {
    answer: "hub:heartbeat_ack",
    payload: {
      timestamp: required(Rule.milliseconds, {
        // Clients of 0.x may leave it to the envelope.
        otherwise: ({ timestamp }, major) => (major === 0 ? timestamp : undefined),
      }),
    },
  },
  "hub:disconnect": {
    answer: "hub:disconnect",
    payload: { reason: optional(Rule.text(MAX_REASON_LENGTH)) },
  },
  "hub:register": {
    answer: "hub:registered",
    writes: true,
    isJudgedByClients: true,
    payload: {
      actorAddress: required(Rule.claimable),
      capabilities,
      metadata,
      ttlSeconds: optional(ttl, { default: ({ defaultTtlSeconds }) => defaultTtlSeconds }),
    },
  },
  "hub:unregister": {
    answer: "hub:unregistered",
    isAskOnly: true,
    writes: true,
    isJudgedByClients: true,
    mayBeNull: true,
    payload: {
      /** Without it the envelope's `from` is meant. */
      actorAddress: expected(Rule.address),
    },
  },
  "hub:renew": {
    answer: "hub:renewed",
    writes: true,
    payload: {
      renewalToken: required(Rule.text(MAX_RENEWAL_TOKEN_LENGTH), {
        missing: '"renewalToken" must be the token of a registration',
        // Clients of 0.x may keep it where `hub:registered` has it, too.
        otherwise: (envelope, major) => (major === 0 ? envelope.metadata.renewalToken : undefined),
      }),
      /** Without it the registration keeps its own. */
      ttlSeconds: optional(ttl),
    },
  },
  "hub:discover": {
    answer: "hub:discovered",
    isJudgedByClients: true,
    payload: {
      pattern: required(Rule.pattern),
      capabilities,
      capability: optional(Rule.text(MAX_TAG_LENGTH)),
      limit,
      cursor: optional(Rule.cursor),
    },
  },
  "hub:list_actors": {
    answer: "hub:actor_list",
    isJudgedByClients: true,
    payload: {
      limit,
      offset: optional(Rule.count(0), { default: () => 0 }),
    },
  },
  "hub:send": {
    answer: "hub:delivery_ack",
    isAskOnly: true,
    isJudgedByClients: true,
    payload: {
      type,
      /** Without it the envelope's `to` is meant. */
      to: optional(Rule.address),
      data,
    },
  },
  "hub:broadcast": {
    answer: "hub:broadcast_ack",
    isJudgedByClients: true,
    payload: { type, data, excludeSelf: flag },
    metadata: {
      targetCapability: optional(Rule.text(MAX_TAG_LENGTH)),
      targetPattern: optional(Rule.pattern),
    },
  },
  "hub:subscribe": {
    answer: "hub:subscribed",
    writes: true,
    isJudgedByClients: true,
    payload: { topic, durable: flag, presence: flag },
  },
  "hub:unsubscribe": {
    answer: "hub:unsubscribed",
    isAskOnly: true,
    writes: true,
    isOneOf: true,
    payload: {
      subscriptionId: optional(Rule.text(MAX_SUBSCRIPTION_ID_LENGTH)),
      topic: required(Rule.topic, { missing: '"topic" or "subscriptionId" must say which subscription' }),
    },
  },
  "hub:publish": {
    answer: "hub:published",
    isJudgedByClients: true,
    payload: { topic, type, data },
  },
  "hub:watch": {
    answer: "hub:watching",
    writes: true,
    isJudgedByClients: true,
    payload: { actorAddress },
  },
  "hub:unwatch": {
    answer: "hub:unwatched",
    isAskOnly: true,
    writes: true,
    isJudgedByClients: true,
    payload: { actorAddress },
  },
  "hub:presence": {
    answer: "hub:presence_state",
    isJudgedByClients: true,
    payload: { topic, cursor: optional(Rule.cursor) },
  },
  "hub:queue_stats": { answer: "hub:queue_stats_response", payload: {} },
  "hub:metrics": { answer: "hub:metrics_response", payload: {} },
  "hub:refresh_token": {
    answer: "hub:token_refreshed",
    payload: {
      token: required(Rule.string, {
        missing: '"token" must be a new token',
        otherwise: ({ metadata }) => metadata.authToken,
      }),
    },
  },
  "hub:ack": {
    answer: null,
    payload: {
      /** Bytes of all data frames received on this socket, text counted as UTF-8; no heartbeats. */
      bytes: required(Rule.count(0)),
      /** The last `seq` taken; 0 if there was none. */
      through: expected(Rule.count(0), { default: () => 0 }),
      /** That of the newest probe received on this socket, unless the hub was told of it. */
      nonce: optional(Rule.text(MAX_NONCE_LENGTH)),
    },
  },
} satisfies { readonly [type: `hub:${string}`]: RequestRow }

type Requests = typeof REQUESTS

/** The types of all messages that the hub serves. */
export type MessageToHub = keyof Requests

/** The types of those that it answers. */
export type HubRequestType = {
  [T in MessageToHub]: Requests[T]["answer"] extends null ? never : T
}[MessageToHub]

/** The fields of a request's payload. */
export type PayloadFields<T extends MessageToHub> = Requests[T]["payload"] extends infer F extends Fields
  ? F
  : Record<never, never>

/** The fields of a request's metadata. */
export type MetadataFields<T extends MessageToHub> = Requests[T] extends {
  readonly metadata: infer F extends Fields
}
  ? F
  : Record<never, never>

type OneOf<A> = { [K in keyof A]-?: { readonly [name in K]-?: Exclude<A[K], undefined> } }[keyof A]

/** The payload of a message to the hub, as a client writes it. */
export type PayloadToHub<T extends MessageToHub> = Requests[T] extends { readonly payload: null }
  ? null
  : Requests[T] extends { readonly isOneOf: true }
    ? OneOf<Sent<PayloadFields<T>>>
    : Sent<PayloadFields<T>> | (Requests[T] extends { readonly mayBeNull: true } ? null : never)

/** A message to the hub and its answer, by the request's type. */
export type HubRequests = {
  readonly [T in HubRequestType]: {
    readonly in: PayloadToHub<T>
    readonly out: AnswerOf<NonNullable<Requests[T]["answer"]>>
  }
}

/** Returns true if the text is the type of a message that the hub serves. */
export const isMessageToHub = (type: string): type is MessageToHub => Object.hasOwn(REQUESTS, type)

/** Returns the row of a message to the hub, as a reader of any row sees it. */
export const rowOf = (type: MessageToHub): RequestRow => REQUESTS[type]

const judge = (
  fields: Fields | null | undefined,
  values: { readonly [name: string]: unknown } | null,
  prefix: string,
  limits: Rule.RuleLimits,
): Rule.Violation | undefined => {
  for (const name in fields) {
    const { presence, rule } = fields[name]!
    const judged = presence === "required" ? rule : Rule.optional(rule)
    const violation = judged(values?.[name], prefix + name, limits)
    if (violation !== undefined) return violation
  }
  return undefined
}

/**
 * Returns the first rule that a client's request breaks; `undefined` if it keeps them all, or if only the hub
 * judges messages of its type.
 */
export const violationOfRequest = (
  { metadata, payload, type }: Pick<Envelope.Envelope, "metadata" | "payload" | "type">,
  limits: Rule.RuleLimits,
): Rule.Violation | undefined => {
  if (!isMessageToHub(type)) return undefined
  const row = rowOf(type)
  if (row.isJudgedByClients === undefined) return undefined
  if (payload !== null && !Envelope.isPlainObject(payload)) {
    return { code: "invalid_message", message: '"payload" must be an object' }
  }
  return judge(row.payload, payload, "", limits) ?? judge(row.metadata, metadata, "metadata.", limits)
}
