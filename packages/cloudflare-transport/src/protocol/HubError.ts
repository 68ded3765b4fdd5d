/** The errors that the hub answers with: each code, with advice for the caller. */

/** The advice that goes with an error code, whatever caused it. */
interface ErrorKind {
  /** Advice for the caller. */
  readonly resolution: string
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean
}

/** The errors of the hub by their code: the advice to a caller, and whether a retry may succeed. */
export const HUB_ERRORS = {
  invalid_message: { resolution: "correct the field that the message names", retryable: false },
  unknown_type: {
    resolution: 'use a hub:* type of the protocol; other types need another "to"',
    retryable: false,
  },
  not_connected: { resolution: "send hub:connect first and wait for hub:connected", retryable: true },
  unauthorized: { resolution: "connect with a valid token", retryable: false },
  forbidden: { resolution: "use an address, topic or right that is yours", retryable: false },
  token_expired: { resolution: "connect with a fresh token", retryable: false },
  version_mismatch: { resolution: "use a protocol version that the hub supports", retryable: false },
  rate_limited: { resolution: "wait retryAfterMs, then send again", retryable: true },
  message_too_large: { resolution: "send smaller messages; maxSize is in bytes", retryable: false },
  message_expired: { resolution: "send again with a longer ttl if it still matters", retryable: false },
  unknown_actor: {
    resolution: "check the address; discover or watch it to learn when it is there",
    retryable: true,
  },
  actor_terminated: {
    resolution: "ask again when the actor is back; it may have acted on the ask",
    retryable: true,
  },
  address_in_use: {
    resolution: "choose an address that is not another session's identity",
    retryable: false,
  },
  registry_full: { resolution: "try again later, or use another hub", retryable: true },
  too_many_subscriptions: { resolution: "unsubscribe from a topic first", retryable: false },
  too_many_asks: { resolution: "wait for open asks to end", retryable: true },
  invalid_address: { resolution: "use an address of the form @(type/name)", retryable: false },
  invalid_topic: { resolution: "use 1 to 256 characters of [A-Za-z0-9/_.:-]", retryable: false },
  queue_full: { resolution: "wait for hub:resume of that actor, then send again", retryable: true },
  timeout: { resolution: "ask again if the request is safe to repeat", retryable: true },
  internal_error: { resolution: "try again; if it stays, report it with the time", retryable: true },
} as const satisfies { readonly [code: string]: ErrorKind }

/** A code of the table of errors. */
export type HubErrorCode = keyof typeof HUB_ERRORS

/** A rejection by the hub: the payload of `hub:error`. */
export interface HubErrorPayload {
  readonly code: HubErrorCode
  /** Says what was wrong, with which field. */
  readonly message: string
  readonly resolution: string
  readonly retryable: boolean
  readonly details: { readonly [key: string]: unknown }
}

/** Makes the payload of `hub:error` from a code: its advice comes from the table. `details` are for programs. */
export const hubErrorPayload = (
  code: HubErrorCode,
  message: string,
  details: { readonly [key: string]: unknown } = {},
): HubErrorPayload => ({ code, message, ...HUB_ERRORS[code], details })

/** Codes that are message types of their own to connected sessions of protocol 1.0. */
export const OWN_TYPE: { readonly [code in HubErrorCode]?: `hub:${string}` } = {
  unauthorized: "hub:unauthorized",
  rate_limited: "hub:rate_limited",
  version_mismatch: "hub:version_mismatch",
  message_too_large: "hub:message_too_large",
}
