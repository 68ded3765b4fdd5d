/** Judges the options of a client before there is a socket. */
import { Envelope, TransportError } from "@signal-hub/actor-core/vocabulary"
import * as FieldRules from "../protocol/FieldRules.ts"
import { type ConnectMetadata, HUB_ADDRESS } from "../protocol/HubMessage.ts"
import type { FrameCodec } from "./FrameCodec.ts"
import { given, message } from "./Message.ts"
import type { ClientOptions } from "./Options.ts"
import { invalid, unreadable, validate } from "./Validation.ts"

const { optional } = FieldRules

/** The URL of a hub, as text or as a `URL`. */
const url: FieldRules.Rule = (value, field) => {
  const isUrl = typeof value === "string" || value instanceof URL
  const text = isUrl ? String(value) : ""
  const fragment = text.indexOf("#")
  let flaw: string | undefined
  if (!/^(ws|http)s?:\/\//i.test(text) || !URL.canParse(text)) {
    const given = isUrl ? JSON.stringify(text) : value === undefined ? "missing" : `a ${typeof value}`
    flaw = `is ${given}: it must be the URL of a hub, which begins with ws:, wss:, http: or https:`
  } else if (fragment >= 0) {
    flaw = `ends with "${text.slice(fragment)}": no WebSocket opens at a URL with a fragment`
  }
  return flaw === undefined ? undefined : { code: "invalid_message", message: `"${field}" ${flaw}` }
}

const RULES: { readonly [option in keyof ClientOptions]?: FieldRules.Rule } = {
  url,
  identity: optional(FieldRules.address),
  capabilities: optional(FieldRules.tags()),
  metadata: optional(FieldRules.metadata()),
  sessionExpirySeconds: optional(FieldRules.number(0)),
  askTimeout: optional(FieldRules.timeLimit),
  unclaimedTimeout: optional(FieldRules.timeLimit),
  queueLimit: optional(FieldRules.count(0)),
}

/** Bytes of the metadata of `hub:connect` that are for what the client adds: its version, a session to resume. */
const RESERVED_BYTES = 256

/**
 * The options, with `metadata` and `capabilities` as they are now: each connection tells the hub of them, whatever
 * becomes of the caller's. Or what is wrong with an option.
 */
export const readOptions = (options: ClientOptions, frames: FrameCodec): ClientOptions | TransportError => {
  try {
    for (const [option, rule] of Object.entries(RULES)) {
      const violation = rule(options[option as keyof ClientOptions], option, {})
      if (violation !== undefined) return invalid(violation.message, violation.code)
    }
    const { token } = options
    if (token !== undefined && typeof token !== "string" && typeof token !== "function") {
      return invalid('"token" must be a string, or a function that provides one')
    }
    const said = given({
      actorIdentity: options.identity,
      capabilities: options.capabilities,
      clientMetadata: options.metadata,
    })
    const hello = validate(message("ask", HUB_ADDRESS, "hub:connect", null, 0, { metadata: said }), {})
    if (hello instanceof TransportError) return hello
    const violation = FieldRules.metadata(Envelope.MAX_METADATA_BYTES - RESERVED_BYTES)(said, "metadata", {})
    if (violation !== undefined) return invalid(violation.message)
    const copy: Partial<ConnectMetadata> = frames.decode(frames.encode(hello)).metadata
    const { capabilities, clientMetadata } = copy
    return {
      ...options,
      url: String(options.url),
      ...(capabilities && { capabilities }),
      ...(clientMetadata && { metadata: clientMetadata }),
    }
  } catch (error) {
    return unreadable({ metadata: { clientMetadata: options.metadata } }, error)
  }
}
